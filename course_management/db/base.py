"""The parts that all models share: the extension object, names of constraints, column types."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

MAX_ID = 2**63 - 1

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """The base class of every model."""

    metadata = sa.MetaData(naming_convention=NAMING)


db = SQLAlchemy(model_class=Base)
migrate = Migrate()

# db.Model is Base with Flask-SQLAlchemy's mixins. It is made at run time, where type checkers do
# not see it.
if TYPE_CHECKING:
    Model = Base
else:
    Model = db.Model


class UTCDateTime(sa.TypeDecorator[datetime]):
    """A column of timezone-aware times. Results are in UTC.

    SQLite stores no time zone, so the times are stored in UTC there. PostgreSQL's sessions run in
    UTC. Raises ValueError for a time without a zone.
    """

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    @property
    def python_type(self) -> type[datetime]:
        return datetime

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("a time without a time zone")
        return value and value.astimezone(UTC)

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        # psycopg2 returns timezone-aware times in UTC, so no Python call per row is needed.
        if dialect.name == "postgresql":
            return None
        parse = self.impl_instance.dialect_impl(dialect).result_processor(dialect, coltype)

        def process(value: Any) -> datetime | None:
            moment: datetime | None = parse(value) if parse else value
            return moment and moment.replace(tzinfo=UTC)

        return process


def as_number(hundredths: int | None) -> float | None:
    """The JSON number of a number of hundredths: 3 for 300, 1.5 for 150, None for None."""
    if hundredths is None:
        return None
    return hundredths / 100 if hundredths % 100 else hundredths // 100


def as_hundredths(number: float | None) -> int | None:
    """The number of hundredths of a JSON number, or None for None."""
    return None if number is None else round(number * 100)


class Credits(sa.TypeDecorator[float]):
    """A column of credits, stored as a whole number of hundredths, so that sums are exact.

    In Python a value is the JSON number: 3, or 1.5.
    """

    impl = sa.Integer
    cache_ok = True

    def process_bind_param(self, value: float | None, dialect: Dialect) -> int | None:
        return as_hundredths(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> float | None:
        return as_number(value)


# PostgreSQL: bigint identity. SQLite: its own rowid, which must be declared INTEGER.
BigId = sa.BigInteger().with_variant(sa.Integer, "sqlite")
# Text that both databases compare by code point. The locale of the server makes no difference.
KeyText = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


class Ids(sa.TypeDecorator[list[int]]):
    """A list of ids as one parameter, so that the statement is the same for every number of ids."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> sa.types.TypeEngine[Any]:
        return dialect.type_descriptor(
            sa.ARRAY(sa.BigInteger()) if dialect.name == "postgresql" else sa.Text()
        )

    def process_bind_param(self, value: Iterable[int] | None, dialect: Dialect) -> Any:
        ids = list(value or ())
        return ids if dialect.name == "postgresql" else json.dumps(ids)


class Texts(sa.TypeDecorator[list[str]]):
    """A list of texts as one parameter."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> sa.types.TypeEngine[Any]:
        return dialect.type_descriptor(
            sa.ARRAY(sa.Text()) if dialect.name == "postgresql" else sa.Text()
        )

    def process_bind_param(self, value: Iterable[str] | None, dialect: Dialect) -> Any:
        texts = list(value or ())
        return texts if dialect.name == "postgresql" else json.dumps(texts)


class database_clock(  # noqa: N801 - reads as an SQL function
    sa.sql.expression.FunctionElement[datetime]
):
    """The time of the database's clock, which all hosts share."""

    inherit_cache = True
    type = UTCDateTime()


@compiles(database_clock, "postgresql")
def _clock_timestamp(element: database_clock, compiler: Any, **kw: Any) -> str:
    return "clock_timestamp()"


@compiles(database_clock, "sqlite")
def _strftime(element: database_clock, compiler: Any, **kw: Any) -> str:
    # SQLite's clock has milliseconds, and times are stored with microseconds.
    return "strftime('%Y-%m-%d %H:%M:%f000', 'now')"


# An operator: among(column, "ids"), or among(column, "codes") if it is a column of texts.
class among(sa.sql.expression.FunctionElement[bool]):  # noqa: N801 - reads as an operator
    """An SQL condition: the value of a column is among the ids, or the texts, of a parameter.

    It does the same as SQLAlchemy's expanding IN, and costs half as much to compile.
    """

    inherit_cache = True
    type = sa.Boolean()

    def __init__(self, column: sa.ColumnElement[Any], name: str) -> None:
        kind = Texts() if isinstance(column.type, sa.Text) else Ids()
        super().__init__(column, sa.bindparam(name, type_=kind))


@compiles(among)
def _in_json(element: among, compiler: Any, **kw: Any) -> str:
    column, ids = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({ids}))"


@compiles(among, "postgresql")
def _any_of_array(element: among, compiler: Any, **kw: Any) -> str:
    column, ids = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"{column} = ANY({ids})"


class json_list(  # noqa: N801 - reads as an SQL function
    sa.sql.expression.FunctionElement[str]
):
    """The text of a JSON list of columns. A JSON column becomes a part of it."""

    inherit_cache = True
    type = sa.Text()


@compiles(json_list, "postgresql")
def _json_build_array(element: json_list, compiler: Any, **kw: Any) -> str:
    return f"CAST(json_build_array({compiler.process(element.clauses, **kw)}) AS TEXT)"


@compiles(json_list, "sqlite")
def _json_array(element: json_list, compiler: Any, **kw: Any) -> str:
    values = (
        f"json({compiler.process(one, **kw)})"
        if isinstance(one.type, sa.JSON)
        else compiler.process(one, **kw)
        for one in element.clauses
    )
    return f"json_array({', '.join(values)})"


Reader = Session | Connection


def connection_of(reader: Reader) -> Connection:
    """Return the connection of a session; a connection is returned as it is."""
    return reader.connection() if isinstance(reader, Session) else reader


def now() -> datetime:
    """Return the current time, timezone-aware, in UTC."""
    return datetime.now(UTC)


class Versioned:
    """Columns of a model: an id that is never used again, the times of the creation and of the last
    edit, and a version that counts the edits.
    """

    id: Mapped[int] = mapped_column(BigId, sa.Identity(), primary_key=True, sort_order=-1)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now, sort_order=1)
    updated_at: Mapped[datetime] = mapped_column(
        UTCDateTime,
        default=lambda context: context.get_current_parameters()["created_at"],
        onupdate=now,
        sort_order=1,
    )
    version: Mapped[int] = mapped_column(sa.Integer, nullable=False, sort_order=1)

    @sa.orm.declared_attr.directive
    def __mapper_args__(cls) -> dict[str, Any]:  # noqa: N805 - SQLAlchemy passes the class
        return {"version_id_col": cls.version}
