"""Connections on which PostgreSQL no longer answers are aborted, and only those."""

from __future__ import annotations

import socket

import psycopg2

from course_management.db import connections


def test_a_database_connection_closed_just_now_breaks_nothing(monkeypatch):
    """Seen to fail: InterfaceError, through the main loop of the worker."""

    class Closing:
        server_version, closed, InterfaceError = 1, 0, psycopg2.InterfaceError

        def fileno(self):
            raise psycopg2.InterfaceError("connection already closed")

    monkeypatch.setattr(connections, "_in_use", {1: (0.0, Closing())})
    assert connections.abort_stuck_connections(1) == 0


def test_a_number_that_another_has_now_is_not_broken(monkeypatch):
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
