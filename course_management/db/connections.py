"""The connections that requests use: check one out, begin a transaction on it, abort stuck ones.

Every caller uses these functions and does not know which implementation is active: with
`BATCHING=on` each thread keeps a connection (`thread_connection.py`) that sends several statements
in one message (`batching.py`); with `BATCHING=off` each transaction uses a connection of the
engine's pool (`pool_connections.py`) and a transaction of psycopg2's own.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from flask import Flask, current_app
from sqlalchemy.engine import Connection, Engine, RootTransaction
from sqlalchemy.exc import DBAPIError

from course_management.db.batching import Connection as BatchingConnection
from course_management.db.pool_connections import PoolConnections
from course_management.db.sqlite import BEGIN_WRITING
from course_management.db.thread_connection import ThreadConnections

# Modes of a transaction, as SQL's transaction_mode spells them.
WRITING = ""
# All statements see the rows that were committed when the first of them began.
SNAPSHOT = "ISOLATION LEVEL REPEATABLE READ READ ONLY"

# The same modes as SQLAlchemy's execution options, for psycopg2's own transactions: in its
# autocommit mode, which is the default of our engine, commit() would do nothing.
_PSYCOPG2_OPTIONS: dict[str, dict[str, Any]] = {
    WRITING: {"isolation_level": "READ COMMITTED"},
    SNAPSHOT: {"isolation_level": "REPEATABLE READ"},
}

_EXTENSION = "course_management.db.connections"
# Returns the app itself, without the proxy's work for each attribute.
_app: Callable[[], Flask] = current_app._get_current_object  # type: ignore[attr-defined]

# The driver's connections in use, each with the time at which its use began (in seconds of
# `time.monotonic`).
_in_use: dict[int, tuple[float, Any]] = {}


def init_app(app: Flask, engine: Engine, *, batching: bool) -> None:
    """Make `app` use connections of `engine`."""
    app.extensions[_EXTENSION] = (ThreadConnections if batching else PoolConnections)(engine)


# with use_connection() as connection
class use_connection:  # noqa: N801 - reads as a function
    """A connection for the block, which must end the transactions that it begins.

    After a database error, the connection is rolled back on the server, even if SQLAlchemy thinks
    that its transaction has ended, and is returned to the pool. If the rollback fails, it is
    dropped. Raises sqlalchemy.exc.DBAPIError if the database is not reachable.
    """

    __slots__ = ("_connection", "_connections")

    def __enter__(self) -> Connection:
        self._connections: PoolConnections = _app().extensions[_EXTENSION]
        connection: Connection = self._connections.check_out()
        self._connection = connection
        _in_use[id(connection)] = time.monotonic(), connection.connection.dbapi_connection
        return connection

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        sound = kind is None or (issubclass(kind, Exception) and not issubclass(kind, DBAPIError))
        _in_use.pop(id(self._connection), None)
        self._connections.check_in(self._connection, sound=sound)


def begin(connection: Connection, mode: str = WRITING) -> RootTransaction:
    """Begin a transaction of this mode on `connection`, in SQLAlchemy and on the server.

    Without it, every statement is a transaction of its own on the server.
    """
    if connection.dialect.name == "sqlite":
        begun = connection.begin()
        connection.exec_driver_sql(BEGIN_WRITING if mode == WRITING else "BEGIN")
        return begun
    dbapi: Any = connection.connection.dbapi_connection
    if not isinstance(dbapi, BatchingConnection):
        # SQLAlchemy resets these options when the connection returns to the pool.
        try:
            connection.execution_options(**_PSYCOPG2_OPTIONS[mode])
        except dbapi.Error as error:
            # A lost connection. SQLAlchemy wraps the errors of statements, but not this one.
            connection._handle_dbapi_exception(error, None, None, None, None)
        begun = connection.begin()
        if mode == SNAPSHOT:
            # Not SQLAlchemy's postgresql_readonly: resetting it would make later transactions READ
            # WRITE, whatever default_transaction_read_only says.
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        return begun
    begun = connection.begin()
    dbapi.begin_deferred(mode)
    return begun


def disable_statement_timeout(connection: Connection) -> None:
    """Turn off the time limit for statements of the current transaction on `connection`.

    The watchdog does not abort the connection either.
    """
    _in_use.pop(id(connection), None)
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")


def abort_stuck_connections(seconds: float) -> int:
    """Close the sockets of the PostgreSQL connections that have been in use for longer than
    `seconds`. The threads that wait for a response on them get an error. Returns their number.

    PostgreSQL itself ends statements that take too long. This is for a server that no longer
    responds while its kernel still accepts bytes.
    """
    since, aborted = time.monotonic() - seconds, 0
    for began, dbapi in list(_in_use.values()):
        if began < since and hasattr(dbapi, "server_version") and not dbapi.closed:
            # Another thread may close it at any moment: then its file descriptor is gone, or
            # belongs to another connection.
            with (
                suppress(OSError, dbapi.InterfaceError),
                socket.socket(fileno=os.dup(dbapi.fileno())) as duplicate,
            ):
                if not dbapi.closed:
                    duplicate.shutdown(socket.SHUT_RDWR)
                    aborted += 1
    return aborted
