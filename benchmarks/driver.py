"""Drives the service from a process of its own: plain sockets on one epoll, one request after
the other on each.
"""

from __future__ import annotations

import json
import select
import socket
import time
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from benchmarks.workloads import WORKS, World, requests

READY = 50_000  # requests made before the clock starts: making one costs as much as sending it


@dataclass(frozen=True)
class Driven:
    """What a run gave: seconds it took, those of each answer, answers that were not as they must
    be, the driver's own CPU (s).
    """

    seconds: float
    took: list[float]
    failed: int
    cpu: float


class Line:
    """One keep-alive connection: what was sent when, and what of the answer is there."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent, self.data, self.length = 0.0, b"", 0

    def send(self, message: bytes) -> None:
        """Send a request."""
        self.data, self.length, self.sent = b"", 0, time.perf_counter()
        self.sock.sendall(message)

    def read(self) -> int:
        """The status where the whole answer is there, else 0. Raises ConnectionError where none
        will come.
        """
        got = self.sock.recv(262144)
        if not got:
            raise ConnectionError("the service hung up")
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
    """A request as it goes over the wire."""
    data = json.dumps(body).encode() if body is not None else b""
    head = f"{method} {target} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n"
    if data:
        head += f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n"
    return f"{head}\r\n".encode() + data


def drive(
    port: int, token: str, name: str, world: World, connections: int, seconds: float, skip: int
) -> Driven:
    """Send requests of one kind for so many seconds, those after the first `skip`; each
    connection waits for its answer.
    """
    work = WORKS[name]
    connections = work.connections or connections
    source = (message(token, *asked) for asked in islice(requests(name, world), skip, None))
    todo = chain(list(islice(source, READY // max(work.enrollments, 1))), source)
    lines = {line.sock.fileno(): line for line in (Line(port) for _ in range(connections))}
    epoll = select.epoll()
    took, failed = [], 0
    began, cpu = time.perf_counter(), time.process_time()
    for number, line in lines.items():
        epoll.register(number, select.EPOLLIN)
        line.send(next(todo))
    busy, end = len(lines), began + seconds
    while busy:
        for number, _ in epoll.poll():
            line = lines[number]
            status = line.read()
            if not status:
                continue
            now = time.perf_counter()
            took.append(now - line.sent)
            failed += status != work.status
            if now < end:
                line.send(next(todo))
            else:
                busy -= 1
    result = Driven(time.perf_counter() - began, took, failed, time.process_time() - cpu)
    for line in lines.values():
        line.sock.close()
    return result
