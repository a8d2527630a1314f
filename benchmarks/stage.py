"""Shared by all benchmarks: a temporary PostgreSQL with the service's schema and demo data."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from devtools.gunicorn import ROOT
from devtools.postgres import Server


def flask(url: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Run the command `flask ARGS` of the service on the database at `url`."""
    program = Path(sys.executable).parent / "flask"
    env = {**os.environ, "DATABASE_URL": url}
    return subprocess.run(
        [program, "--app", "wsgi", *args],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


def run_command(url: str, *args: str) -> str:
    """The last line that a command of the service printed. Raises SystemExit if it fails."""
    done = flask(url, *args)
    if done.returncode:
        sys.exit(f"flask {args[0]}: {done.stderr or done.stdout}")
    return (done.stdout.splitlines() or [""])[-1]


def load(url: str, students: int, courses: int, each: int, *options: str) -> None:
    """Migrate the database to the newest schema and load demo data.

    `each` is the number of courses of a student. `options` are further options of `load-demo`.
    """
    run_command(url, "db", "upgrade")
    load_more(url, students, courses, each, *options)


def load_more(url: str, students: int, courses: int, each: int, *options: str) -> None:
    """Load demo data into a database that has the schema."""
    sizes = {"--students": students, "--courses": courses, "--each": each}
    given = [text for name, value in sizes.items() for text in (name, str(value))]
    run_command(url, "load-demo", *given, *options)


def make_key(url: str) -> str:
    """A new API key that may do everything."""
    return run_command(url, "api-keys", "create", "--name", "benchmark", "--scope", "admin")


@contextmanager
def postgres(*settings: str) -> Iterator[Server]:
    """A PostgreSQL that runs until the block ends. `settings` are written as `name=value`."""
    server = Server(*settings)
    try:
        yield server
    finally:
        server.remove()
