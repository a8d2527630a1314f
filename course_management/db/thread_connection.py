"""The connection that each thread keeps, and what can be said of one: that it begins to write, may
take its time, must break.

A thread serves one request at a time and there are as many connections as threads, so none waits
for another. Handing one out and taking it back for every request would cost 17 us, up to three
times a request.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from course_management.db.base import db

WRITING = ""
# reads what was committed when it began, whatever is committed meanwhile
SNAPSHOT = "ISOLATION LEVEL REPEATABLE READ READ ONLY"


class _Kept(threading.local):
    connection: Connection | None = None


_kept = _Kept()
# The driver's connections that somebody has in hand, and since when (seconds of `time.monotonic`).
_in_hand: dict[int, tuple[float, Any]] = {}


@contextmanager
def thread_connection() -> Iterator[Connection]:
    """This thread's connection; where it is in hand already, another. Whoever has it ends what
    transaction was begun.

    After an error of the database it is rolled back on the server, whatever SQLAlchemy thinks of
    it, and goes back to the pool; where it cannot be, it is dropped. Raises
    sqlalchemy.exc.DBAPIError where there is no database to reach.
    """
    connection, _kept.connection = _kept.connection, None
    if connection is None or connection.engine is not db.engine:
        if connection:
            connection.close()
        connection = db.engine.connect()
    _in_hand[id(connection)] = time.monotonic(), connection.connection.dbapi_connection
    sound = True
    try:
        yield connection
    except BaseException as error:
        sound = isinstance(error, Exception) and not isinstance(error, DBAPIError)
        raise
    finally:
        del _in_hand[id(connection)]
        _put_back(connection, sound)


def _put_back(connection: Connection, sound: bool) -> None:
    """Keep the connection for the thread's next request, unless it may be broken or the thread
    has one.
    """
    if sound and not (connection.invalidated or _kept.connection):
        _kept.connection = connection
        return
    if not connection.invalidated:
        _roll_back(connection)
    connection.close()


def _roll_back(connection: Connection) -> None:
    """End the transaction that the server may still be in: after a COMMIT that failed SQLAlchemy
    thinks it is over.
    """
    try:
        # as the pool does with what comes back
        connection.dialect.do_rollback(connection.connection)
    except connection.dialect.loaded_dbapi.Error as error:
        connection.invalidate(error)


def begin(connection: Connection, mode: str = WRITING) -> None:
    """Begin on the server what SQLAlchemy has begun on `connection`; without this, every
    statement stands alone.
    """
    if connection.dialect.name == "sqlite":
        # A writer takes the lock now: a reader that turned writer could not wait for it.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if mode == WRITING else "BEGIN")
        return
    dbapi: Any = connection.connection.dbapi_connection
    dbapi.begin_deferred(mode)


def disable_statement_timeout(connection: Connection) -> None:
    """Let the statements of the transaction on `connection` take as long as they need."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")


def abort_stuck_connections(seconds: float) -> int:
    """Break the connections to PostgreSQL that have been in hand for longer: whoever waits for an
    answer on one gets an error.

    PostgreSQL itself ends what takes too long; this is for one that says nothing any more, when all
    the kernel knows is that it takes bytes. Returns how many were broken.
    """
    since, broken = time.monotonic() - seconds, 0
    for began, dbapi in list(_in_hand.values()):
        if began < since and hasattr(dbapi, "server_version") and not dbapi.closed:
            # It may be closed at any moment: then it has no number, or another has it.
            with (
                suppress(OSError, dbapi.InterfaceError),
                socket.socket(fileno=os.dup(dbapi.fileno())) as wire,
            ):
                if not dbapi.closed:
                    wire.shutdown(socket.SHUT_RDWR)
                    broken += 1
    return broken
