"""Sends raw bytes to a server and reads its answer, for requests that no HTTP client would send."""

from __future__ import annotations

import socket


def dial(port: int, timeout: float = 30) -> socket.socket:
    """A connection to a port of this machine; `timeout` in seconds."""
    return socket.create_connection(("127.0.0.1", port), timeout=timeout)


def exchange(port: int, *parts: bytes, timeout: float = 30) -> bytes:
    """The bytes that the server sends until it closes. It may close before it has read all."""
    with dial(port, timeout) as wire:
        try:
            for part in parts:
                wire.sendall(part)
        except OSError:
            pass  # refused early: the answer has arrived anyway
        return read_all(wire)


def read_all(wire: socket.socket) -> bytes:
    """The bytes that arrive until the server closes."""
    received = b""
    try:
        while part := wire.recv(65536):
            received += part
    except ConnectionResetError:
        pass  # closed with bytes unread
    return received


def status_of(received: bytes) -> int:
    """The status of the first answer in `received`."""
    return int(received.split(b" ", 2)[1])
