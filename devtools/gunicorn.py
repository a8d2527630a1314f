"""Runs the service with gunicorn in a process of its own; and a simple HTTP client for it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devtools.postgres import free_port
from devtools.waiting import wait_until

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Answer:
    """An HTTP response."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Gunicorn:
    """A context manager that runs `gunicorn wsgi:app` with the settings `env`.

    gunicorn writes its output to the file `log`. Entering raises AssertionError with that output if
    gunicorn does not respond within 30 seconds.
    """

    def __init__(self, env: dict[str, str], log: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.env = {
            **os.environ,
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "AUTH": "open",
            **env,
        }
        self.log = log

    def __enter__(self) -> Gunicorn:
        program = [str(Path(sys.executable).parent / "gunicorn"), "wsgi:app"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                program, cwd=ROOT, env=self.env, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            wait_until(self._is_live, 30, self.log.read_text)
        except BaseException:  # nobody else would stop it
            self.process.kill()
            self.process.wait()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)

    def _is_live(self) -> bool:
        try:
            return self.request("GET", "/health/live").status == 200
        except OSError:
            assert self.process.poll() is None, self.log.read_text()
            return False

    def request(
        self, method: str, target: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """The response to one request over a new connection. `target` is sent unchanged."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            return send(connection, method, target, body, headers)
        finally:
            connection.close()

    def workers(self) -> set[int]:
        """The process ids of the workers."""
        return {
            int(pid)
            for pid in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
            .read_text()
            .split()
        }


def crowd(port: int, requests: list[tuple[Any, ...]], connections: int) -> list[Answer]:
    """Send `requests` over `connections` connections at the same time.

    A request is the arguments of `send` after the connection. Returns the responses in the order of
    the requests.
    """
    answers: list[Answer | None] = [None] * len(requests)
    todo = iter(range(len(requests)))
    gate = threading.Barrier(connections)

    def work() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        gate.wait()
        for i in todo:  # threads may share a range iterator: its next() is atomic
            answers[i] = send(connection, *requests[i])
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [answer for answer in answers if answer is not None]


def send(
    connection: http.client.HTTPConnection,
    method: str,
    target: str,
    body: Any = None,
    headers: dict[str, str] | None = None,
) -> Answer:
    """The response to one request over `connection`. A `body` that is not bytes is sent as JSON."""
    if body is not None and not isinstance(body, bytes):
        body, headers = (
            json.dumps(body).encode(),
            {"Content-Type": "application/json", **(headers or {})},
        )
    connection.request(method, target, body, headers or {})
    answer = connection.getresponse()
    return Answer(answer.status, answer.headers, answer.read())
