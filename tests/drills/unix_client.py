"""Sends requests directly to gunicorn's socket, without nginx."""

from __future__ import annotations

import http.client
import socket
from pathlib import Path
from typing import Any

from devtools.gunicorn import Answer, send


class UnixConnection(http.client.HTTPConnection):
    """A connection over a unix socket."""

    def __init__(self, path: Path, timeout: float = 60) -> None:
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


def ask_socket(path: Path, *request: Any) -> Answer:
    """One request over a connection of its own."""
    connection = UnixConnection(path)
    try:
        return send(connection, *request)
    finally:
        connection.close()
