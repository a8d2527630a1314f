"""A connection of psycopg2 on which what can wait goes out together with what follows.

A message to the server and its answer cost both sides as much as a small statement. psycopg2 sends
BEGIN and COMMIT in messages of their own; here BEGIN goes with the first statement, and the last
writes of a transaction with COMMIT: enrolling takes two messages instead of four, and a fifth less
of everybody's time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg2 import Error, OperationalError, ProgrammingError, errors, extensions

# unknown: the connection is gone
_NOT_BEGUN = (extensions.TRANSACTION_STATUS_IDLE, extensions.TRANSACTION_STATUS_UNKNOWN)


class NotConfirmed(OperationalError):  # type: ignore[misc]  # psycopg2 has no types
    """PostgreSQL has committed, but the wait for a synchronous standby was cancelled: a failover
    may undo it.
    """


class Connection(extensions.connection):  # type: ignore[misc]  # psycopg2 has no types
    """Always in psycopg2's autocommit: transactions begin where `begin_deferred` says so, and
    end by commit or rollback.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cursor_factory = Cursor
        self._waiting: list[bytes] = []

    def begin_deferred(self, mode: str = "") -> None:
        """Begin a transaction of this mode (SQL's transaction_mode) with the next statement."""
        self._waiting = [f"BEGIN {mode}".encode()]

    def defer(self, text: str, values: Sequence[Any]) -> None:
        """Execute a statement of a transaction with the next one or with the commit, which then
        raises what this one would.
        """
        if not (self._waiting or self._has_begun()):
            raise ProgrammingError("Only a transaction has a commit to wait for.")
        with super().cursor() as cursor:
            self._waiting.append(cursor.mogrify(text, values))

    def pop_pending(self) -> list[bytes]:
        """What waits, which whoever asks must send."""
        waiting, self._waiting = self._waiting, []
        return waiting

    def commit(self) -> None:
        """Commit what was begun, with what waits; where only BEGIN waits, nothing has happened.

        Raises what the statements that wait raise; InFailedSqlTransaction where one had failed
        before, which PostgreSQL answers with ROLLBACK and no error; NotConfirmed. Whoever called
        rolls back.
        """
        if len(self._waiting) == 1 and self._waiting[0].startswith(b"BEGIN"):
            self._waiting = []
        elif self._waiting or self.get_transaction_status() != extensions.TRANSACTION_STATUS_IDLE:
            self._send_commit()

    def rollback(self) -> None:
        """Undo what was begun, where the server knows of it."""
        self._waiting = []
        if self._has_begun():
            self._send("ROLLBACK")

    def _has_begun(self) -> bool:
        return self.get_transaction_status() not in _NOT_BEGUN

    def _send_commit(self) -> None:
        del self.notices[:]
        with self.cursor() as cursor:
            cursor.execute("COMMIT")
            if cursor.statusmessage != "COMMIT":
                raise errors.InFailedSqlTransaction(
                    f"COMMIT was answered with {cursor.statusmessage}."
                )
        if self.notices and self._has_standbys():
            raise NotConfirmed(*self.notices[-1:])

    def _has_standbys(self) -> bool:
        """Whether a commit waits for standbys at all, asked after a warning.

        A cancelled wait is a warning without a code of its own, in the server's language, and a
        trigger may raise one too: only where nothing is waited for can they be told apart.
        """
        try:
            with self.cursor() as cursor:
                cursor.execute("SHOW synchronous_standby_names")
                return bool(cursor.fetchone()[0])
        except Error:
            return True

    def _send(self, text: str) -> None:
        with self.cursor() as cursor:
            cursor.execute(text)


class Cursor(extensions.cursor):  # type: ignore[misc]  # psycopg2 has no types
    """Sends what waits on its connection before what it is given, in the same message."""

    connection: Connection

    def execute(self, query: Any, vars: Any = None) -> None:  # noqa: A002 - psycopg2's name
        waiting = self.connection.pop_pending()
        if waiting:
            # psycopg2's name
            query, vars = b"; ".join((*waiting, self.mogrify(query, vars))), None  # noqa: A001
        super().execute(query, vars)

    def executemany(self, query: Any, vars_list: Any) -> None:
        self._send_waiting()
        super().executemany(query, vars_list)

    def copy_expert(self, *args: Any, **kwargs: Any) -> None:
        self._send_waiting()
        super().copy_expert(*args, **kwargs)

    def _send_waiting(self) -> None:
        if waiting := self.connection.pop_pending():
            super().execute(b"; ".join(waiting))
