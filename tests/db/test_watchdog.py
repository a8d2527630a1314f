"""The watchdog aborts connections on which PostgreSQL no longer answers, and no others."""

from __future__ import annotations

import socket
import time

import psycopg2
import pytest
import sqlalchemy as sa

from course_management.db import connections, watchdog
from course_management.db.transaction import transaction


@pytest.fixture
def own(new_database, make_app, monkeypatch):
    """The app on PostgreSQL, in a process whose watchdog waits only a fifth of a second."""
    monkeypatch.setattr(watchdog, "MAX_USE_SECONDS", 0.2)
    return make_app(new_database("postgresql"))


def test_a_stuck_connection_is_aborted_without_our_worker(own):
    """As with `flask run` and gthread. Fails if only our worker checks for stuck connections."""
    began = time.monotonic()
    with (
        own.app_context(),
        pytest.raises(sa.exc.OperationalError),
        transaction(writing=False) as session,
    ):
        session.execute(sa.text("SELECT pg_sleep(7)"))
    assert time.monotonic() - began < 6


def test_a_command_is_not_aborted(own):
    """Fails if `disable_statement_timeout` does not exempt the connection: `audit` and `load-demo`
    are then aborted after twelve seconds.
    """
    with own.app_context(), transaction(writing=True, no_timeout=True) as session:
        assert session.execute(sa.text("SELECT 1 FROM pg_sleep(1)")).scalar_one() == 1


def test_a_connection_closed_meanwhile_does_no_harm(monkeypatch):
    """Fails if InterfaceError ends the loop that aborts connections."""

    class Closing:
        server_version, closed, InterfaceError = 1, 0, psycopg2.InterfaceError

        def fileno(self):
            raise psycopg2.InterfaceError("connection already closed")

    monkeypatch.setattr(connections, "_in_use", {1: (0.0, Closing())})
    assert connections.abort_stuck_connections(1) == 0


def test_a_reused_file_descriptor_is_not_shut_down(monkeypatch):
    """The connection is closed between the two checks. Another connection may then have its
    descriptor.
    """
    ours, theirs = socket.socketpair()

    class Closed:
        server_version, closed, InterfaceError = 1, 0, psycopg2.InterfaceError

        def fileno(self):
            self.closed = 1
            return ours.fileno()

    monkeypatch.setattr(connections, "_in_use", {1: (0.0, Closed())})
    with ours, theirs:
        assert connections.abort_stuck_connections(1) == 0
        ours.sendall(b"x")
        assert theirs.recv(1) == b"x"
