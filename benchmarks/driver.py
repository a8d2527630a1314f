"""Sends the requests of `make bench` from a process of its own, with plain sockets and one epoll.

Each connection waits for its response before it sends the next request.
"""

from __future__ import annotations

import json
import select
import socket
import time
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from benchmarks.workloads import WORKS, TermWorld, World, requests

# Requests built before the measurement starts: building one takes as long as sending it.
PREPARED_REQUESTS = 50_000


@dataclass(frozen=True)
class Driven:
    """The result of a run: its seconds, the seconds of each response, the number of responses with
    a wrong status, and the CPU seconds of the driver.
    """

    seconds: float
    took: list[float]
    failed: int
    cpu: float


class Connection:
    """One keep-alive connection: when its request was sent, and the part of the response that has
    arrived.
    """

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent, self.data, self.length = 0.0, b"", 0

    def send(self, message: bytes) -> None:
        """Send a request."""
        self.data, self.length, self.sent = b"", 0, time.perf_counter()
        self.sock.sendall(message)

    def read(self) -> int:
        """The status if the whole response has arrived, else 0.

        Raises ConnectionError if the service closed the connection.
        """
        got = self.sock.recv(262144)
        if not got:
            raise ConnectionError("the service closed the connection")
        self.data += got
        if not self.length:
            end = self.data.find(b"\r\n\r\n")
            if end < 0:
                return 0
            at = self.data.find(b"Content-Length: ") + 16
            self.length = (
                end + 4 + (int(self.data[at : self.data.find(b"\r", at)]) if at > 15 else 0)
            )
        return int(self.data[9:12]) if len(self.data) >= self.length else 0


def message(token: str, method: str, target: str, body: Any) -> bytes:
    """The bytes of a request."""
    data = json.dumps(body).encode() if body is not None else b""
    head = f"{method} {target} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n"
    if data:
        head += f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n"
    return f"{head}\r\n".encode() + data


def drive(
    port: int,
    token: str,
    name: str,
    world: World | TermWorld,
    connections: int,
    seconds: float,
    skip: int,
) -> Driven:
    """Send requests of the kind `name` for `seconds`, leaving out the first `skip` of them."""
    work = WORKS[name]
    connections = work.connections or connections
    source = (message(token, *asked) for asked in islice(requests(name, world), skip, None))
    todo = chain(list(islice(source, PREPARED_REQUESTS // max(work.enrollments, 1))), source)
    opened = [Connection(port) for _ in range(connections)]
    by_number = {connection.sock.fileno(): connection for connection in opened}
    epoll = select.epoll()
    took, failed = [], 0
    began, cpu = time.perf_counter(), time.process_time()
    for number, connection in by_number.items():
        epoll.register(number, select.EPOLLIN)
        connection.send(next(todo))
    busy, end = connections, began + seconds
    while busy:
        for number, _ in epoll.poll():
            connection = by_number[number]
            status = connection.read()
            if not status:
                continue
            now = time.perf_counter()
            took.append(now - connection.sent)
            failed += status != work.status
            if now < end:
                connection.send(next(todo))
            else:
                busy -= 1
    result = Driven(time.perf_counter() - began, took, failed, time.process_time() - cpu)
    for connection in opened:
        connection.sock.close()
    return result
