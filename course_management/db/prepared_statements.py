"""Statements that PostgreSQL plans once a connection instead of once a request, and takes several
at a time.

psycopg2 prepares nothing, and planning a join costs PostgreSQL five times what running it does. A
named statement is sent as PREPARE when a connection first meets it, then as EXECUTE, with one plan
for all values: so it is for statements that go by keys. It needs a session that stays: behind
PgBouncer's transaction pooling the setting PREPARE must be off. There, and on SQLite, the same
statements go out one by one as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from sqlalchemy.engine import Connection, Engine, ExceptionContext

_KNOWN = "prepared"  # key of a connection's info: the names of the statements it has prepared
# The result type of a statement has changed ("cached plan must not change result type"), or the
# session has lost the statement.
STALE = frozenset({"0A000", "26000"})
_PARAMETER = re.compile(r"%\((\w+)\)s")
# SQLAlchemy gives no types here
_DIALECT: Any = PGDialect_psycopg2()  # type: ignore[no-untyped-call]


class Statement:
    """A statement with a name of its own."""

    columns: list[str] | None = None

    def __init__(self, name: str, core: Any) -> None:
        self.name, self.core = name, core

    @cached_property
    def _text(self) -> str:
        return str(self.core.compile(dialect=_DIALECT, column_keys=self.columns))

    @cached_property
    def parameters(self) -> list[str]:
        """The names of its parameters, in the order of `execute`."""
        return list(dict.fromkeys(_PARAMETER.findall(self._text)))

    @cached_property
    def prepare_sql(self) -> str:
        """The PREPARE of it."""
        text = _PARAMETER.sub(
            lambda match: f"${self.parameters.index(match[1]) + 1}", self._text
        ).replace("%%", "%")
        return f"PREPARE {self.name} AS {text}"

    @cached_property
    def execute_sql(self) -> str:
        """The EXECUTE of it."""
        values = ", ".join(["%s"] * len(self.parameters))
        return f"EXECUTE {self.name}({values})" if values else f"EXECUTE {self.name}"


class Insert(Statement):
    """An INSERT of all columns of `table` that the database does not number itself, for one row
    or for many.
    """

    def __init__(self, table: sa.Table) -> None:
        super().__init__(f"insert_{table.name}", sa.insert(table).inline())
        self._many: dict[frozenset[str], Statement] = {}
        self.columns: list[str] = [
            column.name for column in table.columns if column.identity is None
        ]

    def many(self, alike: frozenset[str]) -> Statement:
        """The INSERT of many rows: a list for each column, one value for those in which the rows
        are `alike`.

        A third of the cost of as many lists of VALUES, and half of it again where only the ids
        differ.
        """
        if alike not in self._many:
            table: sa.Table = self.core.table
            types = {name: table.c[name].type.compile(_DIALECT) for name in self.columns}
            lists = {
                name: f"CAST(:{name} AS {types[name]}[])"
                for name in self.columns
                if name not in alike
            }
            values = ", ".join(
                f"CAST(:{name} AS {types[name]})" if name in alike else f"many.{name}"
                for name in self.columns
            )
            text = (
                f"INSERT INTO {table.name} ({', '.join(self.columns)}) SELECT {values}"
                f" FROM unnest({', '.join(lists.values())}) AS many({', '.join(lists)})"
            )
            shape = "".join("01"[name in alike] for name in self.columns)
            self._many[alike] = Statement(f"{self.name}_many_{shape}", sa.text(text))
        return self._many[alike]


Call = tuple[Statement, Mapping[str, Any] | Sequence[Mapping[str, Any]]]


def init_engine(engine: Engine) -> None:
    """Have `engine` prepare statements."""
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "handle_error", _drop_stale)


def _drop_stale(context: ExceptionContext) -> None:
    """Have SQLAlchemy drop a connection whose statements are dead, and all that the pool has:
    theirs died together.
    """
    if getattr(context.original_exception, "pgcode", None) in STALE:
        context.is_disconnect = True


def _on_connect(dbapi: Any, record: Any) -> None:
    record.info[_KNOWN] = set()
    with dbapi.cursor() as cursor:
        # Left to itself PostgreSQL distrusts a plan for a list of unknown length, and plans each
        # time after all.
        cursor.execute("SET plan_cache_mode = force_generic_plan")


def send(connection: Connection, *calls: Call) -> Sequence[Any]:
    """Execute statements in turn, each with its values, an INSERT perhaps with several rows;
    returns the rows of the last.

    What can be prepared goes out in one message: a message costs both sides as much as a small
    statement. Raises sqlalchemy.exc.DBAPIError.
    """
    known = connection.info.get(_KNOWN)
    if known is None:
        for statement, values in calls:
            result: sa.CursorResult[Any] = connection.execute(statement.core, values)
        return result.all() if result.returns_rows else []
    return _execute(connection, *_message(connection, known, calls))


def defer(connection: Connection, *calls: Call) -> None:
    """Execute statements like `send`, but where that saves a message only with the next statement,
    or with the commit.

    For the last writes of a transaction, whose rows nobody reads: what they raise, the commit may
    raise instead.
    """
    known = connection.info.get(_KNOWN)
    if not calls:
        return
    if known is None:
        send(connection, *calls)
    else:
        dbapi: Any = connection.connection.dbapi_connection
        dbapi.defer(*_message(connection, known, calls))


def _message(
    connection: Connection, known: set[str], calls: Sequence[Call]
) -> tuple[str, list[Any]]:
    """The calls as one text and its values; what is not `known` to the connection is prepared
    first.
    """
    texts: list[str] = []
    given: list[Any] = []
    for statement, values in map(_as_one, calls):
        if statement.name not in known:
            connection.exec_driver_sql(statement.prepare_sql)
            known.add(statement.name)
        texts.append(statement.execute_sql)
        given += [values[name] for name in statement.parameters]
    return "; ".join(texts), given


def _as_one(call: Call) -> tuple[Statement, Mapping[str, Any]]:
    """The call with one value for each parameter: of several rows, a list for each column in
    which they differ.
    """
    statement, values = call
    if isinstance(values, Mapping):
        return statement, values
    assert isinstance(statement, Insert)
    columns = {name: [row[name] for row in values] for name in statement.columns}
    alike = {
        name: given[0] for name, given in columns.items() if given.count(given[0]) == len(given)
    }
    return statement.many(frozenset(alike)), columns | alike


def _execute(connection: Connection, text: str, given: list[Any]) -> Sequence[Any]:
    """The driver's own cursor: a result of SQLAlchemy's costs twice what psycopg2 does (110 us
    against 57).
    """
    cursor: Any = connection.connection.cursor()
    dbapi: Any = connection.dialect.loaded_dbapi
    try:
        # where db/statement_timing.py takes its time
        connection.dialect.do_execute(cursor, text, given)
        rows: Sequence[Any] = cursor.fetchall() if cursor.description else []
    except dbapi.Error as error:
        # raises, as for SQLAlchemy's own statements
        connection._handle_dbapi_exception(error, text, None, cursor, None)
    finally:
        cursor.close()
    return rows
