"""Connections on which PostgreSQL no longer answers are aborted, and only those."""

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
    """The app on PostgreSQL, in a process whose watchdog waits for a fifth of a second."""
    monkeypatch.setattr(watchdog, "MAX_USE_SECONDS", 0.2)
    return make_app(new_database("postgresql"))


def test_a_stuck_connection_is_aborted_without_our_worker(own):
    """As under `flask run` and gthread. Seen to fail while only our worker looked."""
    began = time.monotonic()
    with (
        own.app_context(),
        pytest.raises(sa.exc.OperationalError),
        transaction(writing=False) as session,
    ):
        session.execute(sa.text("SELECT pg_sleep(7)"))
    assert time.monotonic() - began < 6


def test_a_command_is_not_aborted(own):
    """Seen to fail: `audit` and `load-demo` would be aborted after twelve seconds."""
    with own.app_context(), transaction(writing=True, no_timeout=True) as session:
        assert session.execute(sa.text("SELECT 1 FROM pg_sleep(1)")).scalar_one() == 1


def test_a_connection_closed_meanwhile_does_no_harm(monkeypatch):
    """Seen to fail: InterfaceError ended the loop that aborts connections."""

    class Closing:
        server_version, closed, InterfaceError = 1, 0, psycopg2.InterfaceError

        def fileno(self):
            raise psycopg2.InterfaceError("connection already closed")

    monkeypatch.setattr(connections, "_in_use", {1: (0.0, Closing())})
    assert connections.abort_stuck_connections(1) == 0


def test_a_reused_file_descriptor_is_not_shut_down(monkeypatch):
    """Closed between the two: its number may be that of somebody else's connection."""
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
