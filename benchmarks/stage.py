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


def load(url: str, students: int, courses: int, each: int) -> None:
    """Migrate the database to the newest schema and load demo data.

    `each` is the number of courses of a student.
    """
    run_command(url, "db", "upgrade")
    run_command(
        url,
        "load-demo",
        "--students",
        str(students),
        "--courses",
        str(courses),
        "--each",
        str(each),
    )


@contextmanager
def postgres(*settings: str) -> Iterator[Server]:
    """A PostgreSQL that runs until the block ends. `settings` are written as `name=value`."""
    server = Server(*settings)
    try:
        yield server
    finally:
        server.remove()
