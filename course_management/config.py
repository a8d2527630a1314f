"""The settings. They are read from the environment and checked once, here and nowhere else."""

from __future__ import annotations

import ipaddress
import os
import re
import select
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from course_management.core import text
from course_management.core.principal import SCOPES
from course_management.core.settings import BadSetting, Given
from course_management.rules.facts import Grades
from course_management.rules.grades import DEFAULT_GRADES, GRADES_BY_DEFAULT, parse_grades

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_DATABASE = f"sqlite:///{ROOT / 'instance' / 'course_management.db'}"
_MAX_SOCKET_PATH_BYTES = 107  # Linux accepts no longer path of a unix socket (unix(7))


@dataclass(frozen=True)
class Oidc:
    """The OpenID Connect provider whose tokens are accepted, and the meaning of their claims.

    `scopes` lists pairs of a role, which is a word of the claim `scopes_claim`, and the scopes that
    this role grants. `student` is an attribute of students (`id`, `external_id` or `email`) and the
    claim that has its value.
    """

    issuer: str
    audience: str
    algorithms: tuple[str, ...] = ("RS256",)
    scopes_claim: str = "scope"
    scopes: tuple[tuple[str, tuple[str, ...]], ...] = ()
    student: tuple[str, str] | None = None


# One worker per core, and one more that works while another waits for the database. With twice as
# many workers as cores, an enrollment costs a quarter more (measured on two cores).
_CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
DEFAULT_WORKERS = min(16, _CORES + 1)

# The worker of server/worker.py needs Linux's epoll.
WORKERS = ("epoll", "gthread") if hasattr(select, "epoll") else ("gthread",)

# Threads of a worker that always serve. With more than two, they would wait for each other rather
# than for the database. The other threads serve only while one of these is held up.
BASE_THREADS = 2


@dataclass(frozen=True)
class Config:
    """Every setting, as `.env.example` lists and explains them."""

    database_url: URL
    host: str = "127.0.0.1"
    port: int = 8000
    proxy: bool = False
    workers: int = DEFAULT_WORKERS
    threads: int = 4
    auth: str = ""  # "open", "required", or "" (not set): open, but for this machine only
    oidc: Oidc | None = None
    cors_origins: tuple[str, ...] = ()
    keepalive: int = 75
    graceful_timeout: int = 30
    worker: str = WORKERS[0]
    batching: bool = True
    prepare: bool = True
    flask: str = "lean"
    offerings_cache: bool = True
    log_level: str = "INFO"
    slow_request_ms: int = 1000
    slow_statement_ms: int = 500
    course_levels: tuple[str, ...] = ()
    grades: Grades = GRADES_BY_DEFAULT
    text_refuses: bool = False

    @classmethod
    def from_env(cls, env: Mapping[str, str | None] | None = None) -> Config:
        """The settings from `env`. By default, they come from the environment and from the file
        `.env` in the project's folder; the environment wins.

        An empty setting counts as not set. Each setting can also come from a file (`Given`). Raises
        BadSetting for an invalid value.
        """
        if env is None:
            env = dotenv_values(ROOT / ".env") | {k: v for k, v in os.environ.items() if v.strip()}
        given = Given(
            {name: value.strip() for name, value in env.items() if value and value.strip()}
        )
        host = _host(given.get("HOST", cls.host))
        auth = _one_of(given, "AUTH", "", ("open", "required"))
        refuse_open_to_others(auth, host)
        return cls(
            database_url=database_url(given.get("DATABASE_URL", DEFAULT_DATABASE)),
            host=host,
            port=_integer(given, "PORT", cls.port, 1, 65535),
            proxy=_is_on(given, "PROXY", default="on" if host.startswith("unix:") else "off"),
            workers=_integer(given, "WEB_CONCURRENCY", cls.workers, 1, 256),
            threads=_integer(given, "THREADS", cls.threads, 1, 256),
            auth=auth,
            oidc=_oidc(given),
            cors_origins=_origins(given),
            keepalive=_integer(given, "KEEPALIVE", cls.keepalive, 1, 3600),
            graceful_timeout=_integer(given, "GRACEFUL_TIMEOUT", cls.graceful_timeout, 1, 3600),
            worker=_one_of(given, "WORKER", WORKERS[0], WORKERS),
            batching=_is_on(given, "BATCHING", default="on"),
            prepare=_is_on(given, "PREPARE", default="on"),
            flask=_one_of(given, "FLASK", "lean", ("lean", "stock")),
            offerings_cache=_is_on(given, "OFFERINGS_CACHE", default="on"),
            log_level=_one_of(
                given, "LOG_LEVEL", cls.log_level, ("DEBUG", "INFO", "WARNING", "ERROR")
            ),
            slow_request_ms=_integer(given, "SLOW_REQUEST_MS", cls.slow_request_ms, 0, 3_600_000),
            slow_statement_ms=_integer(
                given, "SLOW_STATEMENT_MS", cls.slow_statement_ms, 0, 3_600_000
            ),
            course_levels=_levels(given),
            grades=_grades(given),
            text_refuses=_one_of(given, "TEXT_CONDITIONS", "warn", ("warn", "refuse")) == "refuse",
        )


def refuse_open_to_others(auth: str, host: str) -> None:
    """Raise BadSetting if AUTH is not set (`auth` is empty) and other machines can reach `host`."""
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:  # another name, or the path of a socket
        loopback = False
    if not auth and not loopback:
        raise BadSetting(
            f"AUTH must be set to listen on {host}: AUTH=required (see docs/access.md), or "
            "AUTH=open, which lets everybody do everything."
        )


def database_url(address: str) -> URL:
    """The address of the database as SQLAlchemy needs it. Raises BadSetting.

    `postgres://` and `postgresql://` mean psycopg2, which this service uses. SQLAlchemy 2.1 would
    refuse the first and use psycopg 3 for the second.
    """
    try:
        url = make_url(
            "postgresql" + address.removeprefix("postgres")
            if address.startswith("postgres:")
            else address
        )
    except (ArgumentError, ValueError):
        raise BadSetting(
            "DATABASE_URL is not an address such as postgresql://user@host/name."
        ) from None
    if url.drivername in ("postgresql", "postgresql+psycopg2"):
        return url.set(drivername="postgresql+psycopg2")
    if (
        url.drivername not in ("sqlite", "sqlite+pysqlite")
        or not url.database
        or url.database == ":memory:"
    ):
        raise BadSetting(
            "DATABASE_URL must be postgresql://user@host/name or sqlite:////path/of/a/file.db."
        )
    return url


def _host(value: str) -> str:
    if value.startswith("unix:") and not (
        value.startswith("unix:/") and len(value.encode()) <= len("unix:") + _MAX_SOCKET_PATH_BYTES
    ):
        raise BadSetting(
            "HOST must be an address, or unix: and an absolute path of at most "
            f"{_MAX_SOCKET_PATH_BYTES} bytes."
        )
    return value.strip("[]")


def _integer(given: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    value = given.get(name, str(default))
    if not (value.isascii() and value.isdigit() and low <= int(value[:9]) <= high):
        raise BadSetting(f"{name} must be a whole number from {low} to {high}, not {value!r}.")
    return int(value)


def _one_of(given: Mapping[str, str], name: str, default: str, choices: tuple[str, ...]) -> str:
    value = given.get(name, default)
    if value.lower() not in (choice.lower() for choice in (default, *choices)):
        raise BadSetting(f"{name} must be one of {', '.join(choices)}, not {value!r}.")
    return next(choice for choice in (default, *choices) if choice.lower() == value.lower())


def _is_on(given: Mapping[str, str], name: str, *, default: str) -> bool:
    return _one_of(given, name, default, ("on", "off")) == "on"


def _words(given: Mapping[str, str], name: str, default: str = "") -> tuple[str, ...]:
    return tuple(word.strip() for word in given.get(name, default).split(",") if word.strip())


def _levels(given: Mapping[str, str]) -> tuple[str, ...]:
    try:
        return tuple(text.clean(word) for word in _words(given, "COURSE_LEVELS"))
    except (text.TooLong, text.TooManyMarks) as error:
        raise BadSetting(
            f"COURSE_LEVELS contains a level that no course can have. {error}"
        ) from None


def _grades(given: Mapping[str, str]) -> Grades:
    try:
        return parse_grades(given.get("GRADES", DEFAULT_GRADES))
    except ValueError as error:
        raise BadSetting(f"GRADES {error}") from None


def _origins(given: Mapping[str, str]) -> tuple[str, ...]:
    origins = _words(given, "CORS_ORIGINS")
    for origin in origins:
        if not re.fullmatch("https?://[a-z0-9.-]+(:[0-9]+)?", origin):  # RFC 6454, section 6.2
            raise BadSetting(
                "CORS_ORIGINS must be origins such as https://app.example.edu, without a path "
                f"or *, not {origin!r}."
            )
    return origins


ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
STUDENT_KEYS = ("id", "external_id", "email")


def _oidc(given: Mapping[str, str]) -> Oidc | None:
    issuer, audience = given.get("OIDC_ISSUER", ""), given.get("OIDC_AUDIENCE", "")
    if not issuer:
        return None
    if not is_secure_url(issuer):
        raise BadSetting(
            f"OIDC_ISSUER must be an address that begins with https://, not {issuer!r}."
        )
    if not audience:
        raise BadSetting(
            "OIDC_AUDIENCE must be set with OIDC_ISSUER: without it, tokens for other services "
            "would be accepted."
        )
    algorithms = _words(given, "OIDC_ALGORITHMS", ",".join(Oidc.algorithms))
    if not set(algorithms) <= set(ALGORITHMS):
        raise BadSetting(
            f"OIDC_ALGORITHMS must be some of {', '.join(ALGORITHMS)}, not "
            f"{','.join(algorithms)!r}."
        )
    grants = []
    for pair in _words(given, "OIDC_SCOPES"):
        word, _, scopes = pair.partition("=")
        if not word or not scopes or not set(scopes.split("+")) <= set(SCOPES):
            raise BadSetting(
                "OIDC_SCOPES must be pairs such as registrar=students:write+enrollments:write, "
                f"not {pair!r}."
            )
        grants.append((word, tuple(scopes.split("+"))))
    by, _, claim = given.get("OIDC_STUDENT", "").partition("=")
    if by and (by not in STUDENT_KEYS or not claim):
        raise BadSetting(
            "OIDC_STUDENT must be id, external_id or email, then = and the name of a claim, not "
            f"{by!r}."
        )
    if by == "email" and claim != "email":
        raise BadSetting(
            "OIDC_STUDENT must be email=email, because email_verified describes only that claim. "
            f"To use another claim, set external_id={claim} and store its values as external ids."
        )
    claim_of_scopes = given.get("OIDC_SCOPES_CLAIM", Oidc.scopes_claim)
    return Oidc(
        issuer, audience, algorithms, claim_of_scopes, tuple(grants), (by, claim) if by else None
    )


def is_secure_url(address: str) -> bool:
    """Whether an address is https, or http on this machine."""
    return (
        re.match(r"https://[^/]|http://(localhost|127\.0\.0\.1|\[::1\])([:/]|$)", address)
        is not None
    )
