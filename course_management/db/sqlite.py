"""Waits for the locks of SQLite, which has one writer at a time."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from typing import Any

from sqlalchemy.engine import Connection, Engine

BEGIN_WRITING = "BEGIN IMMEDIATE"

# Seconds that a connection waits for a lock.
LOCK_TIMEOUT_SECONDS = 20.0

# SQLite lets waiting writers poll, ever more slowly, so that late ones overtake early ones. That is
# fast, and unfair: some would wait for seconds. So a writer that has polled for this time closes
# the door to later ones: it locks the folder of the database. Writers that find the door closed
# queue behind it. If the process is killed, the kernel opens the door.
_PATIENCE_SECONDS = 0.2
_queue = threading.Lock()  # of the threads of this process


def init_engine(engine: Engine) -> None:
    """Make the writers of `engine` queue. A writing transaction takes the lock of the writer at
    once (BEGIN_WRITING): a transaction that began as a reader cannot wait for it.
    """
    dialect: Any = engine.dialect
    execute = dialect.do_execute

    def execute_in_turn(cursor: Any, text: str, values: Any, context: Any = None) -> None:
        if text == BEGIN_WRITING:
            _begin_in_turn(cursor.connection, lambda: execute(cursor, text, values, context))
        else:
            execute(cursor, text, values, context)

    dialect.do_execute = execute_in_turn


def _begin_in_turn(connection: sqlite3.Connection, begin: Callable[[], None]) -> None:
    """Call `begin`, which waits for the lock of the writer, in turn.

    Raises sqlite3.OperationalError after LOCK_TIMEOUT_SECONDS.
    """
    deadline = time.monotonic() + LOCK_TIMEOUT_SECONDS
    (_, _, path), *_ = connection.execute("PRAGMA database_list")
    folder = os.path.dirname(path) or "."  # noqa: PTH120 - a tenth of the time of a Path
    if _is_open(_descriptor(folder, os.getpid(), "door")):
        try:
            _begin(connection, begin, _PATIENCE_SECONDS)
            return
        except sqlite3.OperationalError as error:
            if not _is_busy(error):
                raise
    with ExitStack() as stack:
        if _queue.acquire(timeout=LOCK_TIMEOUT_SECONDS):
            stack.callback(_queue.release)
            door = _descriptor(folder, os.getpid(), "queue")
            fcntl.flock(door, fcntl.LOCK_EX)
            stack.callback(fcntl.flock, door, fcntl.LOCK_UN)
        _begin(connection, begin, max(0, deadline - time.monotonic()))


def _begin(connection: sqlite3.Connection, begin: Callable[[], None], seconds: float) -> None:
    _set_timeout(connection, seconds)
    try:
        begin()
    finally:
        _set_timeout(connection, LOCK_TIMEOUT_SECONDS)


def _is_busy(error: sqlite3.OperationalError) -> bool:
    # The lower byte of an extended code is the code itself (SQLITE_BUSY_RECOVERY).
    return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY


def _is_open(door: int) -> bool:
    try:
        fcntl.flock(door, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(door, fcntl.LOCK_UN)
    return True


@cache
def _descriptor(folder: str, process: int, use: str) -> int:
    """A file descriptor of the folder. A lock belongs to the descriptor, so each process and each
    use has its own.
    """
    return os.open(folder, os.O_RDONLY)


def set_lock_timeout(connection: Connection, seconds: float) -> None:
    """Let the statements of a connection wait for locks for these seconds."""
    dbapi: Any = connection.connection.dbapi_connection
    _set_timeout(dbapi, seconds)


def _set_timeout(connection: sqlite3.Connection, seconds: float) -> None:
    connection.execute(f"PRAGMA busy_timeout = {seconds * 1000:.0f}")


def use_wal(cursor: sqlite3.Cursor) -> None:
    """Set the journal mode to WAL.

    If several processes do this on a new file at the same time, SQLite refuses some of them
    immediately and ignores the timeout of the connection, because waiting would be a deadlock.
    Raises sqlite3.OperationalError after LOCK_TIMEOUT_SECONDS.
    """
    deadline = time.monotonic() + LOCK_TIMEOUT_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if not _is_busy(error) or time.monotonic() > deadline:
                raise
        time.sleep(0.01)
