"""The settings: read once, checked once, frozen. The only reader of the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from course_management import text

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_DATABASE = f"sqlite:///{ROOT / 'instance' / 'course_management.db'}"
_LONGEST_SOCKET = 107  # bytes of a path: what Linux takes


class BadSetting(SystemExit):
    """A setting that cannot be used: ends the process with one line that says how to mend it."""


class Given(dict[str, str]):
    """The settings given by name. Where `NAME` is not, `NAME_FILE` is the path of a file that has its value, such as a secret."""

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a setting, or `default`. Raises BadSetting where both are given, or the file cannot be read."""
        path = super().get(f"{name}_FILE")
        if path is None:
            return super().get(name, default)
        if name in self:
            raise BadSetting(f"{name} and {name}_FILE are both set: unset one of them.")
        try:
            return Path(path).read_text(encoding="utf-8").strip() or default
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text"
            raise BadSetting(f"{name}_FILE names {path}, which cannot be read: {reason}. Name a file with the value.") from None


@dataclass(frozen=True)
class Config:
    """Every setting, as `.env.example` lists and explains them."""

    database_url: URL
    host: str = "127.0.0.1"
    port: int = 8000
    proxy: bool = False
    workers: int = 4
    threads: int = 4
    keepalive: int = 75
    graceful_timeout: int = 30
    prepare: bool = True
    log_level: str = "INFO"
    slow_request_ms: int = 1000
    slow_statement_ms: int = 500
    course_levels: tuple[str, ...] = ()

    @classmethod
    def from_env(cls, env: Mapping[str, str | None] | None = None) -> Config:
        """The settings from `env`: by default `.env` at the top of the project, overruled by the environment.

        An empty setting is an unset one. Raises BadSetting for a value that cannot be used.
        """
        if env is None:
            env = dotenv_values(ROOT / ".env") | {k: v for k, v in os.environ.items() if v.strip()}
        given = Given({name: value.strip() for name, value in env.items() if value and value.strip()})
        host = _host(given.get("HOST", cls.host))
        return cls(
            database_url=database_url(given.get("DATABASE_URL", DEFAULT_DATABASE)),
            host=host,
            port=_integer(given, "PORT", 8000, 1, 65535),
            proxy=_one_of(given, "PROXY", "ON" if host.startswith("unix:") else "OFF", ("ON", "OFF")) == "ON",
            workers=_integer(given, "WEB_CONCURRENCY", 4, 1, 256),
            threads=_integer(given, "THREADS", 4, 1, 256),
            keepalive=_integer(given, "KEEPALIVE", 75, 1, 3600),
            graceful_timeout=_integer(given, "GRACEFUL_TIMEOUT", 30, 1, 3600),
            prepare=_one_of(given, "PREPARE", "ON", ("ON", "OFF")) == "ON",
            log_level=_one_of(given, "LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR")),
            slow_request_ms=_integer(given, "SLOW_REQUEST_MS", 1000, 0, 3_600_000),
            slow_statement_ms=_integer(given, "SLOW_STATEMENT_MS", 500, 0, 3_600_000),
            course_levels=tuple(w for word in given.get("COURSE_LEVELS", "").split(",") if (w := text.clean(word))),
        )


def database_url(address: str) -> URL:
    """The address of the database as SQLAlchemy takes it.

    `postgres://` and `postgresql://` mean psycopg2, which this service ships; SQLAlchemy 2.1 would take psycopg 3.
    """
    try:
        url = make_url("postgresql" + address.removeprefix("postgres") if address.startswith("postgres:") else address)
    except (ArgumentError, ValueError):
        raise BadSetting("DATABASE_URL is not an address such as postgresql://user@host/name.") from None
    if url.drivername in ("postgresql", "postgresql+psycopg2"):
        return url.set(drivername="postgresql+psycopg2")
    if url.drivername not in ("sqlite", "sqlite+pysqlite") or not url.database or url.database == ":memory:":
        raise BadSetting("DATABASE_URL must be postgresql://user@host/name or sqlite:////path/of/a/file.db.")
    return url


def _host(value: str) -> str:
    if value.startswith("unix:") and not (value.startswith("unix:/") and len(value.encode()) <= len("unix:") + _LONGEST_SOCKET):
        raise BadSetting(f"HOST must be an address, or unix: and an absolute path of at most {_LONGEST_SOCKET} bytes.")
    return value.strip("[]")


def _integer(given: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    value = given.get(name, str(default))
    if not (value.isascii() and value.isdigit() and low <= int(value[:9]) <= high):
        raise BadSetting(f"{name} must be a whole number from {low} to {high}, not {value!r}.")
    return int(value)


def _one_of(given: Mapping[str, str], name: str, default: str, choices: tuple[str, ...]) -> str:
    value = given.get(name, default).upper()
    if value not in choices:
        raise BadSetting(f"{name} must be one of {', '.join(choices)}, not {value!r}.")
    return value
