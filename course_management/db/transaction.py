"""The only owner of begin, commit and rollback."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy.engine import Connection, RootTransaction
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from course_management.core.errors import CommitUncertain
from course_management.db import batching
from course_management.db.integrity import reason, sqlstate
from course_management.db.prepared_statements import STALE
from course_management.db.thread_connection import (
    SNAPSHOT,
    WRITING,
    begin,
    disable_statement_timeout,
    thread_connection,
)
from course_management.telemetry import logs, metrics

T = TypeVar("T")
F = TypeVar("F")  # the result of a precheck

MAX_ATTEMPTS = 5
# seconds after which nothing is begun anew: whoever asks has waited long enough
RETRY_WINDOW_SECONDS = 4.0
# SQLSTATE: serialization_failure, deadlock_detected.
_RETRY = frozenset({"40001", "40P01"})


class _Session(Session):
    """A session in a transaction that has begun already: asking it for its connection costs
    nothing.
    """

    def __init__(self, connection: Connection) -> None:
        # It hands rows to the answer after the commit, and flushes only where the code says so.
        super().__init__(connection, expire_on_commit=False, autoflush=False)
        self._begun = connection

    def connection(self, *_: Any, **__: Any) -> Connection:
        return self._begun

    def close(self) -> None:
        """Nothing to let go of where no row was mapped."""
        if self.in_transaction() or self.identity_map or self.new:
            super().close()


@contextmanager
def transaction(
    *, writing: bool, snapshot: bool = False, unhurried: bool = False
) -> Iterator[Session]:
    """A transaction around the block: leaving it commits, raising rolls back and re-raises.

    A reading one is no transaction on the server: every statement sees what is committed when it
    starts; with `snapshot`, all of them see what was committed when the first one did. An
    `unhurried` one, which nobody waits for, may take its time.
    """
    with (
        thread_connection() as connection,
        _begun(connection, WRITING if writing else SNAPSHOT if snapshot else None) as session,
    ):
        if unhurried:
            disable_statement_timeout(connection)
        yield session
    logs.flush_notes(session)


@contextmanager
def _begun(connection: Connection, mode: str | None) -> Iterator[Session]:
    """A session on `connection`, in a transaction of this mode, if any."""
    began = connection.begin()
    if mode is not None:
        begin(connection, mode)
    with _Session(connection) as session:
        try:
            yield session
            session.flush()
        except BaseException:
            if began.is_active:  # a flush that failed has rolled back already
                began.rollback()
            raise
        _commit(began)


def _commit(begun: RootTransaction) -> None:
    began = time.perf_counter()
    try:
        begun.commit()
        metrics.time_statement("COMMIT", time.perf_counter() - began)
    except DBAPIError as error:
        broke_off = error.connection_invalidated and sqlstate(error) not in STALE
        if broke_off or isinstance(error.orig, batching.NotConfirmed):
            begun.connection.invalidate(error)
            logs.log.warning("commit uncertain", extra={"reason": reason(error)})
            raise CommitUncertain from error
        raise


def write(
    work: Callable[[Session, F | None], T], precheck: Callable[[Connection], F] | None = None
) -> T:
    """Call `work` in a transaction and return its result; commit when it returns, roll back when it
    raises. Repeats the transaction where only bad luck made it fail (`_repeated`).

    `precheck` is called with the connection before the transaction begins. `work` gets its result,
    or None. Raises what `work` and `precheck` raise.
    """

    def once() -> T:
        with thread_connection() as connection:
            found = _alone(connection, precheck) if precheck else None
            with _begun(connection, WRITING) as session:
                result = work(session, found)
        logs.flush_notes(session)
        return result

    return _repeated(once)


def read(work: Callable[[Connection], T]) -> T:
    """What `work` returns from reading, each statement by itself, repeated likewise.

    It gets a connection and no session, which would cost as much as a small statement.
    """

    def once() -> T:
        with thread_connection() as connection:
            return _alone(connection, work)

    return _repeated(once)


def _alone(connection: Connection, work: Callable[[Connection], T]) -> T:
    try:
        return work(connection)
    finally:
        # in SQLAlchemy's eyes a statement has begun one; the server has none
        if connection.in_transaction():
            connection.rollback()


def _repeated(once: Callable[[], T]) -> T:
    """Call `once` again where only bad luck made it fail.

    Bad luck is a deadlock, a serialization failure, or, once, a kept connection that had died or
    whose prepared statements had: nothing has been committed then. A commit that broke off is not
    repeated, and nothing once PATIENCE has passed.
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
        time.sleep(random.uniform(0, 0.01 * 2**attempt))
    raise AssertionError("unreachable")


def _worth_repeating(error: DBAPIError, dropped: bool) -> bool:
    if error.connection_invalidated:
        # the pool has dropped its dead connections; a second failure means the server is away
        return not dropped
    return sqlstate(error) in _RETRY
