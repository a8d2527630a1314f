"""A small HTTP client that creates load: many connections in one process, responses with times."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response, with the times of request and response in seconds of
    `time.perf_counter`.
    """

    status: int
    body: bytes
    sent: float
    came: float


class Connection:
    """One keep-alive connection to 127.0.0.1. It reconnects if the server closes it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.writer: asyncio.StreamWriter | None = None

    async def request(self, method: str, path: str, body: Any = None) -> Answer:
        """Send one request and return its response. `body` is sent as JSON."""
        sent = time.perf_counter()
        data = json.dumps(body).encode() if body is not None else b""
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: storm\r\nContent-Type: "
            f"application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writer.write(head.encode() + data)
        answer = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        length = (
            int(answer.split(b"content-length:")[1].split(b"\r\n")[0])
            if b"content-length:" in answer
            else 0
        )
        content = await self.reader.readexactly(length)
        if b"connection: close" in answer:
            self.writer.close()
            self.writer = None
        return Answer(int(answer[9:12]), content, sent, time.perf_counter())


async def race(port: int, requests: list[tuple[Any, ...]], connections: int) -> list[Answer]:
    """Send `requests` over `connections` connections at once.

    Each connection waits for its response before it sends the next request. Each request is the
    arguments of `Connection.request`. Returns the responses in the order of the requests.
    """
    answers: dict[int, Answer] = {}
    todo = iter(range(len(requests)))

    async def work() -> None:
        connection = Connection(port)
        for i in todo:
            answers[i] = await connection.request(*requests[i])
        if connection.writer:
            connection.writer.close()

    await asyncio.gather(*(work() for _ in range(connections)))
    return [answers[i] for i in range(len(requests))]
