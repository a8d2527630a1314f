"""What every model shares: the extension object, names of constraints, column types."""

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
    """What every model shares."""

    metadata = sa.MetaData(naming_convention=NAMING)


db = SQLAlchemy(model_class=Base)
migrate = Migrate()

# db.Model is Base with Flask-SQLAlchemy's mixins, made at run time: a type checker cannot see it
if TYPE_CHECKING:
    Model = Base
else:
    Model = db.Model


class UTCDateTime(sa.TypeDecorator[datetime]):
    """A moment: aware and in UTC on the way in and out. SQLite keeps no zone; PostgreSQL's
    sessions run in UTC.
    """

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    @property
    def python_type(self) -> type[datetime]:
        return datetime

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("a moment without a zone")
        return value and value.astimezone(UTC)

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        # psycopg2 gives aware moments in UTC already: no Python call a row
        if dialect.name == "postgresql":
            return None
        parse = self.impl_instance.dialect_impl(dialect).result_processor(dialect, coltype)

        def process(value: Any) -> datetime | None:
            moment: datetime | None = parse(value) if parse else value
            return moment and moment.replace(tzinfo=UTC)

        return process


# PostgreSQL: bigint identity. SQLite: its own rowid, which must be declared INTEGER.
BigId = sa.BigInteger().with_variant(sa.Integer, "sqlite")
# Text compared by code point on both databases, whatever the locale of the server.
KeyText = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


class Ids(sa.TypeDecorator[list[int]]):
    """A list of ids as one parameter, so that a statement's text does not change with their
    number.
    """

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> sa.types.TypeEngine[Any]:
        return dialect.type_descriptor(
            sa.ARRAY(sa.BigInteger()) if dialect.name == "postgresql" else sa.Text()
        )

    def process_bind_param(self, value: Iterable[int] | None, dialect: Dialect) -> Any:
        ids = list(value or ())
        return ids if dialect.name == "postgresql" else json.dumps(ids)


# reads as an operator: among(column, "ids")
class among(sa.sql.expression.FunctionElement[bool]):  # noqa: N801
    """Whether a column's value is among the ids of a parameter: IN, half as dear to prepare as
    SQLAlchemy's expanding one.
    """

    inherit_cache = True
    type = sa.Boolean()

    def __init__(self, column: sa.ColumnElement[int], name: str) -> None:
        super().__init__(column, sa.bindparam(name, type_=Ids()))


@compiles(among)
def _in_json(element: among, compiler: Any, **kw: Any) -> str:
    column, ids = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({ids}))"


@compiles(among, "postgresql")
def _any_of_array(element: among, compiler: Any, **kw: Any) -> str:
    column, ids = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"{column} = ANY({ids})"


Reader = Session | Connection


def connection_of(reader: Reader) -> Connection:
    """The connection that a session uses; a connection itself."""
    return reader.connection() if isinstance(reader, Session) else reader


def now() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)


class Versioned:
    """An id that is never reused, the moments of creation and last change, and a version that
    counts the changes.
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
