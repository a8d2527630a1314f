"""The service in this process, on one database connection, without a server or a network.

It can record every SQL statement that it sends.
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

Sent = tuple[str, Any]  # the text of an SQL statement, and its values


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


def environ(
    method: str, target: str, body: Any = None, token: str | None = None, **headers: str
) -> dict[str, Any]:
    """The WSGI environment (PEP 3333) that a server would build for this request.

    `body` is sent as JSON, `token` as a bearer token; `headers` are further entries of the
    environment.
    """
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
    """The response of a WSGI application to the environment `asked`."""
    started: list[Any] = []
    chunks = app(asked, lambda *status_and_headers: started.append(status_and_headers))
    try:
        return Answer(int(started[0][0][:3]), dict(started[0][1]), b"".join(chunks))
    finally:
        if hasattr(chunks, "close"):
            chunks.close()


class Service:
    """The service on the database at `url`, with everything on. Its log goes to /dev/null."""

    # The statements of all services that record them. Clear it before a measurement.
    sent: list[Sent] = []

    def __init__(self, url: str, **settings: Any) -> None:
        self.app: Flask = create_app(Config(database_url=database_url(url), threads=1, **settings))
        logs.configure("INFO", Path(os.devnull).open("w"))  # noqa: SIM115 - open until the process ends

    def ask(self, method: str, target: str, body: Any = None, **headers: str) -> Answer:
        """The response to one request."""
        return call(self.app, environ(method, target, body, **headers))

    @contextmanager
    def cursor(self) -> Iterator[Any]:
        """A cursor on the connection that serves requests."""
        with self.app.app_context(), use_connection() as connection:
            yield connection.connection.cursor()

    def record_statements(self) -> None:
        """From now on, record in `sent` every statement sent to the database."""
        with self.app.app_context():
            dialect: Any = db.engine.dialect
        dialect.do_execute = _recorded(dialect.do_execute)
        if batching.Connection.defer.__module__ != __name__:
            # Record the statement, then defer it as before. mypy wants methods left alone.
            batching.Connection.defer = _recorded(batching.Connection.defer)  # type: ignore[method-assign]


def _recorded(execute: Callable[..., None]) -> Callable[..., None]:
    def record(where: Any, text: str, values: Any, *more: Any) -> None:
        Service.sent += split(text, values)
        execute(where, text, values, *more)

    return record


def split(text: str, values: Any) -> list[Sent]:
    """The statements of one message, each with its values, without PREPARE, SET and BEGIN."""
    if not text.startswith("EXECUTE"):
        return [] if text.startswith(("PREPARE", "SET", "BEGIN")) else [(text, values)]
    parts, rest = [], list(values)
    for one in text.split("; "):
        count = one.count("%s")
        parts.append((one, rest[:count]))
        rest = rest[count:]
    return parts
