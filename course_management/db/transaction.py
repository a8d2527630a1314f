"""Transactions. Only this module begins, commits and rolls back."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy.engine import Connection, RootTransaction
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from course_management.core.errors import CommitUncertain, Repeat
from course_management.db.commits import NotConfirmed
from course_management.db.connections import (
    SNAPSHOT,
    WRITING,
    begin,
    disable_statement_timeout,
    use_connection,
)
from course_management.db.integrity import reason, sqlstate
from course_management.db.prepared_statements import STALE
from course_management.telemetry import logs, metrics

T = TypeVar("T")
F = TypeVar("F")  # the result of a precheck

MAX_ATTEMPTS = 5
# Seconds after which no transaction is repeated: the client has waited long enough.
RETRY_WINDOW_SECONDS = 4.0
# Key of a connection's info: a session that its last transaction did not need.
_UNUSED = "unused session"
# SQLSTATE: serialization_failure, deadlock_detected.
_RETRY = frozenset({"40001", "40P01"})


class _Session(Session):
    """A session on a connection whose transaction has begun; `connection()` only returns it."""

    def __init__(self, connection: Connection) -> None:
        # The response reads its objects after the commit. It flushes only when it is told to.
        super().__init__(connection, expire_on_commit=False, autoflush=False)
        self._begun: Any = connection

    def connection(self, *_: Any, **__: Any) -> Connection:
        begun: Connection = self._begun
        return begun

    def close(self) -> None:
        """If no object was loaded, there is nothing to release: leave the session to the next
        transaction of the connection. A new session would take 9 microseconds.
        """
        if self.in_transaction() or self.identity_map or self.new:
            super().close()
        elif not self._begun.invalidated:
            self._begun.info[_UNUSED] = self
            # The info outlives the connection of a thread that ends. With a reference back, that
            # connection would never return to the pool.
            self.bind = self._begun = None


def _session_on(connection: Connection) -> _Session:
    """A session without objects: the one that the last transaction left, or a new one."""
    session: _Session | None = connection.info.pop(_UNUSED, None)
    if session is None:
        return _Session(connection)
    session.info.clear()
    session.bind = session._begun = connection
    return session


@contextmanager
def transaction(
    *, writing: bool, snapshot: bool = False, no_timeout: bool = False
) -> Iterator[Session]:
    """A transaction around the block. Leaving the block commits; an exception rolls back.

    Without `writing`, each statement is a transaction of its own and sees the rows that were
    committed when it began. With `snapshot`, all statements see the rows that were committed when
    the first of them began. With `no_timeout`, a statement may take any time; use it only if no
    client waits. Raises sqlalchemy.exc.DBAPIError, and CommitUncertain if the commit may have
    happened.
    """
    with (
        use_connection() as connection,
        _session(connection, WRITING if writing else SNAPSHOT if snapshot else None) as session,
    ):
        if no_timeout:
            disable_statement_timeout(connection)
        yield session
    logs.flush_notes(session)


@contextmanager
def _session(
    connection: Connection, mode: str | None, *, rehearse: bool = False
) -> Iterator[Session]:
    """A session on `connection`, in a transaction of this mode; without a mode, each statement
    is a transaction of its own. With `rehearse`, the transaction is rolled back instead of
    committed.
    """
    begun = connection.begin() if mode is None else begin(connection, mode)
    with _session_on(connection) as session:
        try:
            yield session
            session.flush()
            if rehearse:
                connection.exec_driver_sql("SELECT 1")  # sends the deferred statements too
        except BaseException:
            if begun.is_active:  # A flush that failed has rolled back already.
                begun.rollback()
            raise
        if rehearse:
            begun.rollback()
        else:
            _commit(begun)


def _commit(begun: RootTransaction) -> None:
    began = time.perf_counter()
    try:
        begun.commit()
        metrics.time_statement("COMMIT", time.perf_counter() - began)
    except DBAPIError as error:
        broke_off = error.connection_invalidated and sqlstate(error) not in STALE
        if broke_off or isinstance(error.orig, NotConfirmed):
            begun.connection.invalidate(error)
            logs.log.warning("commit uncertain", extra={"reason": reason(error)})
            raise CommitUncertain from error
        raise


def write(
    work: Callable[[Session, F | None], T],
    precheck: Callable[[Connection], F] | None = None,
    *,
    rehearse: bool = False,
) -> T:
    """Call `work` in a transaction, commit, and return its result. With `rehearse`, roll back
    instead: nothing is kept, logged as done or counted.

    `work` gets the session and the result of `precheck`, or None. `precheck` is called with the
    connection before the transaction begins. Both are called again after a failure that is likely
    to pass (`_repeated`). Raises the errors of both, and CommitUncertain.
    """

    def once() -> T:
        with use_connection() as connection:
            found = _without_transaction(connection, precheck) if precheck else None
            with _session(connection, WRITING, rehearse=rehearse) as session:
                result = work(session, found)
        if not rehearse:
            logs.flush_notes(session)
        return result

    return _repeated(once)


def read(work: Callable[[Connection], T]) -> T:
    """Call `work` with a connection and return its result. Each statement is a transaction of its
    own.

    `work` is called again after a failure that is likely to pass (`_repeated`). It gets no session,
    because a session would cost as much as a small statement.
    """

    def once() -> T:
        with use_connection() as connection:
            return _without_transaction(connection, work)

    return _repeated(once)


def _without_transaction(connection: Connection, work: Callable[[Connection], T]) -> T:
    try:
        return work(connection)
    finally:
        # SQLAlchemy began a transaction with the first statement; the server did not.
        if connection.in_transaction():
            connection.rollback()


def _repeated(once: Callable[[], T]) -> T:
    """Call `once`, and call it again after a failure that is likely to pass and committed nothing.

    Such failures are deadlocks and serialization failures, and connections that were lost or whose
    prepared statements had become invalid; the last two count only once. After an uncertain commit,
    and after RETRY_WINDOW_SECONDS, `once` is not called again.
    """
    end, dropped = time.monotonic() + RETRY_WINDOW_SECONDS, False
    for attempt in range(1, MAX_ATTEMPTS + 1):
        try:
            return once()
        except DBAPIError as error:
            if (
                attempt == MAX_ATTEMPTS
                or time.monotonic() > end
                or not _worth_repeating(error, dropped)
            ):
                raise
            dropped = dropped or error.connection_invalidated
            logs.info("transaction repeated", attempt=attempt, reason=sqlstate(error))
        except Repeat as repeat:
            if attempt == MAX_ATTEMPTS or time.monotonic() > end:
                raise repeat.refusal from None
            logs.info("transaction repeated", attempt=attempt, reason=repeat.refusal.code)
        time.sleep(random.uniform(0, 0.01 * 2**attempt))
    raise AssertionError("unreachable")


def _worth_repeating(error: DBAPIError, dropped: bool) -> bool:
    if error.connection_invalidated:
        # The pool has dropped its lost connections. A second failure means that the server is down.
        return not dropped
    return sqlstate(error) in _RETRY
