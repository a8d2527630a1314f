"""A lean HTTP client for load: many connections, one process, answers with their times."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, a body, and when the request went out and the answer came in (seconds of
    `time.perf_counter`).
    """

    status: int
    body: bytes
    sent: float
    came: float


class Connection:
    """One keep-alive connection to 127.0.0.1, opened anew where the server closes it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.writer: asyncio.StreamWriter | None = None

    async def request(self, method: str, path: str, body: Any = None) -> Answer:
        """Send one request and wait for its answer."""
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
    """Send the requests over so many connections, each when its connection is free; answers in
    their order.
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
