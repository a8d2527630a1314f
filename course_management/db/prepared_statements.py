"""Fast part: statements that PostgreSQL plans once per connection, several of them per message.

psycopg2 prepares nothing, and planning a join costs PostgreSQL several times as much as running it.
Here a named statement is sent as PREPARE when a connection first needs it, and as EXECUTE from then
on. It has one plan for all values, so it must select its rows by keys. The session must last.
PgBouncer's transaction pooling does not keep sessions: set `PREPARE=off` there. With it, and on
SQLite, the same statements are sent as plain text, one by one
(docs/decisions/0006-prepared-statements.md).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from psycopg2.extensions import register_adapter
from psycopg2.extras import Json
from sqlalchemy import event
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from sqlalchemy.engine import Connection, Engine, ExceptionContext

from course_management.db.batching import Connection as BatchingConnection

# Key of a connection's info: the names of the statements that it has prepared.
_PREPARED = "prepared"
# SQLSTATEs of a prepared statement that is no longer valid: its result type has changed ("cached
# plan must not change result type"), or the session has lost it.
STALE = frozenset({"0A000", "26000"})
_PARAMETER = re.compile(r"%\((\w+)\)s")
# SQLAlchemy has no types for it.
_DIALECT: Any = PGDialect_psycopg2()  # type: ignore[no-untyped-call]


# psycopg2 itself adapts no dict. SQLAlchemy turns those that it sends into JSON itself.
register_adapter(dict, Json)


class Statement:
    """A statement that is prepared under the given name."""

    columns: list[str] | None = None

    def __init__(self, name: str, core: Any) -> None:
        self.name, self.core = name, core

    @cached_property
    def _text(self) -> str:
        return str(self.core.compile(dialect=_DIALECT, column_keys=self.columns))

    @cached_property
    def parameters(self) -> list[str]:
        """The names of its parameters, in the order of `execute_sql`."""
        return list(dict.fromkeys(_PARAMETER.findall(self._text)))

    @cached_property
    def converters(self) -> list[tuple[int, Callable[[Any], Any]]]:
        """The positions of the columns whose type converts the values of the driver (such as
        base.Credits), each with its function.
        """
        columns = self.core.selected_columns if isinstance(self.core, sa.Select) else ()
        converters = (
            c.type.dialect_impl(_DIALECT).result_processor(_DIALECT, None) for c in columns
        )
        return [(i, convert) for i, convert in enumerate(converters) if convert]

    @cached_property
    def prepare_sql(self) -> str:
        """The text of its PREPARE."""
        text = _PARAMETER.sub(
            lambda match: f"${self.parameters.index(match[1]) + 1}", self._text
        ).replace("%%", "%")
        return f"PREPARE {self.name} AS {text}"

    @cached_property
    def execute_sql(self) -> str:
        """The text of its EXECUTE, with psycopg2's placeholders."""
        values = ", ".join(["%s"] * len(self.parameters))
        return f"EXECUTE {self.name}({values})" if values else f"EXECUTE {self.name}"


class Insert(Statement):
    """An INSERT of one row or of many, in all columns of `table` except its identity and those of
    `without`. A column whose default is an SQL expression gets its default.
    """

    def __init__(self, table: sa.Table, without: Sequence[str] = ()) -> None:
        super().__init__("_".join((f"insert_{table.name}", *without)), sa.insert(table).inline())
        self._many: dict[frozenset[str], Statement] = {}
        columns = [c for c in table.columns if c.identity is None and c.name not in without]
        self._defaults: dict[str, str] = {
            column.name: str(column.default.arg.compile(dialect=_DIALECT))
            for column in columns
            if isinstance(column.default, sa.ColumnDefault) and column.default.is_clause_element
        }
        self.columns: list[str] = [c.name for c in columns if c.name not in self._defaults]

    def many(self, constant_columns: frozenset[str]) -> Statement:
        """Return the INSERT of many rows. Its parameters are one value for each of the
        `constant_columns`, in which all rows have the same value, and a list for each other column.

        It costs a third of an INSERT with as many lists of VALUES, and half of that if only the ids
        differ.
        """
        if constant_columns not in self._many:
            table: sa.Table = self.core.table
            types = {name: table.c[name].type.compile(_DIALECT) for name in self.columns}
            # psycopg2 writes a list of JSON documents as a list of texts.
            lists = {
                name: f"CAST(CAST(:{name} AS TEXT[]) AS JSON[])"
                if types[name] == "JSON"
                else f"CAST(:{name} AS {types[name]}[])"
                for name in self.columns
                if name not in constant_columns
            }
            values = {
                name: f"CAST(:{name} AS {types[name]})"
                if name in constant_columns
                else f"many.{name}"
                for name in self.columns
            } | self._defaults
            text = (
                f"INSERT INTO {table.name} ({', '.join(values)}) "
                f"SELECT {', '.join(values.values())}"
                f" FROM unnest({', '.join(lists.values())}) AS many({', '.join(lists)})"
            )
            shape = "".join("01"[name in constant_columns] for name in self.columns)
            self._many[constant_columns] = Statement(f"{self.name}_many_{shape}", sa.text(text))
        return self._many[constant_columns]


Call = tuple[Statement, dict[str, Any] | list[dict[str, Any]]]


def init_engine(engine: Engine) -> None:
    """Make `engine` prepare statements."""
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "handle_error", _drop_stale)


def _drop_stale(context: ExceptionContext) -> None:
    """Make SQLAlchemy drop a connection whose prepared statements are no longer valid.

    It also drops all connections of the pool: their statements became invalid at the same moment.
    """
    if getattr(context.original_exception, "pgcode", None) in STALE:
        context.is_disconnect = True


def _on_connect(dbapi: Any, record: Any) -> None:
    record.info[_PREPARED] = set()
    with dbapi.cursor() as cursor:
        # By default PostgreSQL plans a statement with a list parameter anew each time, because it
        # does not know the length of the list.
        cursor.execute("SET plan_cache_mode = force_generic_plan")


def send(connection: Connection, *calls: Call) -> Sequence[Any]:
    """Execute statements one after the other and return the rows of the last one.

    Each call has a statement and its values; an INSERT may have a list of rows. Prepared statements
    are sent in one message, because each message costs both sides as much as a small statement.
    Raises sqlalchemy.exc.DBAPIError.
    """
    prepared = connection.info.get(_PREPARED)
    if prepared is None:
        for statement, values in calls:
            result: sa.CursorResult[Any] = connection.execute(statement.core, values)
        return result.all() if result.returns_rows else []
    rows = _execute(connection, *_message(connection, prepared, calls))
    converters = calls[-1][0].converters
    return [_converted(row, converters) for row in rows] if converters else rows


def _converted(row: Sequence[Any], converters: list[tuple[int, Callable[[Any], Any]]]) -> list[Any]:
    values = list(row)
    for i, convert in converters:
        values[i] = convert(values[i])
    return values


def defer(connection: Connection, *calls: Call) -> None:
    """Execute statements as `send` does, but together with the next statement or the commit if
    that saves a message.

    Use it only for the last writes of a transaction, and only if nobody reads their results. The
    commit may raise their errors.
    """
    if not calls:
        return
    prepared = connection.info.get(_PREPARED)
    dbapi: Any = connection.connection.dbapi_connection
    if prepared is not None and isinstance(dbapi, BatchingConnection):
        dbapi.defer(*_message(connection, prepared, calls))
    else:
        send(connection, *calls)


def _message(
    connection: Connection, prepared: set[str], calls: Sequence[Call]
) -> tuple[str, list[Any]]:
    """Return the calls as one text and its values.

    Prepares the statements that are not yet in `prepared`, the names of those that the connection
    has prepared.
    """
    texts: list[str] = []
    given: list[Any] = []
    for statement, values in map(_as_one, calls):
        if statement.name not in prepared:
            connection.exec_driver_sql(statement.prepare_sql)
            prepared.add(statement.name)
        texts.append(statement.execute_sql)
        given += [values[name] for name in statement.parameters]
    return "; ".join(texts), given


def _as_one(call: Call) -> tuple[Statement, dict[str, Any]]:
    """Return the call with one value for each parameter. For several rows, this value is a list for
    each column in which the rows differ.
    """
    statement, values = call
    if isinstance(values, dict):
        return statement, values
    assert isinstance(statement, Insert)
    columns = {name: [row[name] for row in values] for name in statement.columns}
    constants = {
        name: given[0] for name, given in columns.items() if given.count(given[0]) == len(given)
    }
    return statement.many(frozenset(constants)), columns | constants


def _execute(connection: Connection, text: str, given: list[Any]) -> Sequence[Any]:
    """Execute with the driver's own cursor, which takes 57 microseconds. A result of SQLAlchemy
    takes 110.
    """
    cursor: Any = connection.connection.cursor()
    dbapi: Any = connection.dialect.loaded_dbapi
    try:
        # db/statement_timing.py measures the time there.
        connection.dialect.do_execute(cursor, text, given)
        rows: Sequence[Any] = cursor.fetchall() if cursor.description else []
    except dbapi.Error as error:
        # Always raises, as for the statements that SQLAlchemy sends itself.
        connection._handle_dbapi_exception(error, text, None, cursor, None)
    finally:
        cursor.close()
    return rows
