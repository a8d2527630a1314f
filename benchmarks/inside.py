"""The service in this process, on one database connection: no server, no network, and every
statement it sends is seen.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from flask import Flask

from course_management import create_app
from course_management.config import Config, database_url
from course_management.db import batching
from course_management.db.base import db
from course_management.db.connections import use_connection
from course_management.telemetry import logs

Sent = tuple[str, Any]  # the text of a statement, and its values


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


def environ(
    method: str, target: str, body: Any = None, token: str | None = None, **headers: str
) -> dict[str, Any]:
    """A WSGI environment (PEP 3333), as a server would make it."""
    data = orjson.dumps(body) if body is not None else b""
    path, _, query = target.partition("?")
    given = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "RAW_URI": target,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "127.0.0.1:8000",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(data),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    if data:
        given |= {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(data))}
    if token:
        given["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return given | headers


def call(app: Callable[..., Any], asked: dict[str, Any]) -> Answer:
    """One request."""
    heard: list[Any] = []
    chunks = app(asked, lambda *answer: heard.append(answer))
    try:
        return Answer(int(heard[0][0][:3]), dict(heard[0][1]), b"".join(chunks))
    finally:
        if hasattr(chunks, "close"):
            chunks.close()


class Service:
    """The service on the database at `url`, everything on; its log goes to /dev/null."""

    # what the services that `listen` have sent to their databases; whoever wants it empties it
    # first
    sent: list[Sent] = []

    def __init__(self, url: str, **settings: Any) -> None:
        self.app: Flask = create_app(Config(database_url=database_url(url), threads=1, **settings))
        logs.configure("INFO", Path(os.devnull).open("w"))  # noqa: SIM115 - as long as the process

    def ask(self, method: str, target: str, body: Any = None, **headers: str) -> Answer:
        """One request."""
        return call(self.app, environ(method, target, body, **headers))

    @contextmanager
    def cursor(self) -> Iterator[Any]:
        """A cursor on the connection that requests are served with."""
        with self.app.app_context(), use_connection() as connection:
            yield connection.connection.cursor()

    def listen(self) -> None:
        """Keep in `sent` what goes to the database from now on."""
        with self.app.app_context():
            dialect: Any = db.engine.dialect
        dialect.do_execute = _heard(dialect.do_execute)
        if batching.Connection.defer.__module__ != __name__:
            # it listens, and goes on
            batching.Connection.defer = _heard(batching.Connection.defer)  # type: ignore[method-assign]


def _heard(execute: Callable[..., None]) -> Callable[..., None]:
    def hear(where: Any, text: str, values: Any, *more: Any) -> None:
        Service.sent += split(text, values)
        execute(where, text, values, *more)

    return hear


def split(text: str, values: Any) -> list[Sent]:
    """The statements of one message, each with its values; not what prepares one, begins or
    ends.
    """
    if not text.startswith("EXECUTE"):
        return [] if text.startswith(("PREPARE", "SET", "BEGIN")) else [(text, values)]
    parts, rest = [], list(values)
    for one in text.split("; "):
        count = one.count("%s")
        parts.append((one, rest[:count]))
        rest = rest[count:]
    return parts
