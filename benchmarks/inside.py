"""The service in this process, on one database connection: no server, no network, and every statement it sends is seen."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from flask import Flask

from course_management import create_app, logs
from course_management.config import Config, database_url
from course_management.extensions import db

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


def environ(method: str, target: str, body: Any = None, token: str | None = None, **headers: str) -> dict[str, Any]:
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

    def __init__(self, url: str, **settings: Any) -> None:
        self.app: Flask = create_app(Config(database_url=database_url(url), threads=1, **settings))
        logs.configure("INFO", Path(os.devnull).open("w"))  # noqa: SIM115 - as long as the process
        self.sent: list[Sent] = []
        with self.app.app_context():
            self.engine = db.engine

    def ask(self, method: str, target: str, body: Any = None, **headers: str) -> Answer:
        """One request."""
        return call(self.app, environ(method, target, body, **headers))

    def listen(self) -> None:
        """Keep in `sent` what goes to the database from now on."""
        dialect: Any = self.engine.dialect
        execute = dialect.do_execute

        def hear(cursor: Any, text: str, values: Any, context: Any = None) -> None:
            self.sent += split(text, values)
            execute(cursor, text, values, context)

        dialect.do_execute = hear


def split(text: str, values: Any) -> list[Sent]:
    """The statements of one message, each with its values; not what prepares one, begins or ends."""
    if not text.startswith("EXECUTE"):
        return [] if text.startswith(("PREPARE", "SET", "BEGIN")) else [(text, values)]
    parts, rest = [], list(values)
    for one in text.split("; "):
        count = one.count("%s")
        parts.append((one, rest[:count]))
        rest = rest[count:]
    return parts
