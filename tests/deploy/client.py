"""Sends requests as raw bytes, from any address of this machine."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import time
from contextlib import ExitStack
from typing import Any

from devtools.gunicorn import Answer, send
from devtools.topology import Topology


def ask(
    up: Topology,
    method: str,
    target: str,
    body: Any = None,
    headers: dict[str, str] | None = None,
    *,
    source: str = "127.0.0.1",
    port: int | None = None,
) -> Answer:
    """One request over a connection of its own, from the address `source`."""
    connection = http.client.HTTPConnection(
        "127.0.0.1", port or up.port, timeout=60, source_address=(source, 0)
    )
    try:
        return send(connection, method, target, body, headers)
    finally:
        connection.close()


def raw(
    up: Topology,
    request: bytes,
    *,
    port: int | None = None,
    method: str = "GET",
    tls: ssl.SSLContext | None = None,
) -> Answer:
    """The answer to bytes that need not be HTTP; to those of `method`, which says whether a body
    follows.
    """
    with ExitStack() as stack:
        wire = stack.enter_context(
            socket.create_connection(("127.0.0.1", port or up.port), timeout=60)
        )
        if tls:
            wire = stack.enter_context(tls.wrap_socket(wire, server_hostname="localhost"))
        wire.sendall(request)
        answer = http.client.HTTPResponse(wire, method=method)
        answer.begin()
        return Answer(answer.status, answer.headers, answer.read())


def events(path: Any) -> list[dict[str, Any]]:
    """The JSON objects in the lines of a log."""
    return [json.loads(line) for line in path.read_text().splitlines() if line.startswith("{")]


class Load:
    """Clients that send one request after the other, over connections they keep, inside `with
    Load(...) as load`.
    """

    def __init__(self, up: Topology, clients: int = 8) -> None:
        self.up, self.answers, self.broken = up, list[Answer](), list[Exception]()
        self.slowest = 0.0  # seconds
        self.done = threading.Event()
        self.threads = [threading.Thread(target=self._work, args=(i,)) for i in range(clients)]

    def __enter__(self) -> Load:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        for thread in self.threads:
            thread.join()

    def statuses(self) -> set[int]:
        """The status of each response."""
        return {answer.status for answer in self.answers}

    def made(self) -> int:
        """The number of students that the responses report as created."""
        return sum(answer.status == 201 for answer in self.answers)

    def _work(self, number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.up.port, timeout=60)
        while not self.done.is_set():
            for request in (
                ("POST", "/students", {"name": f"Client {number}"}),
                ("GET", "/courses"),
            ):
                began = time.monotonic()
                try:
                    self.answers.append(send(connection, *request))
                    self.slowest = max(self.slowest, time.monotonic() - began)
                except (OSError, http.client.HTTPException) as error:
                    self.broken.append(error)
                    connection.close()
        connection.close()
