"""What every benchmark stands on: a PostgreSQL of its own with the service's schema, and demo
data in it.
"""

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
    """A command of the service on the database at `url`, done."""
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


def prepare(url: str, *args: str) -> str:
    """What a command printed last; ends the benchmark where it failed."""
    done = flask(url, *args)
    if done.returncode:
        sys.exit(f"flask {args[0]}: {done.stderr or done.stdout}")
    return (done.stdout.splitlines() or [""])[-1]


def load(url: str, students: int, courses: int, each: int) -> None:
    """The newest schema, and demo data in it."""
    prepare(url, "db", "upgrade")
    prepare(
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
    """A PostgreSQL for the block, with `settings` as `name=value`."""
    server = Server(*settings)
    try:
        yield server
    finally:
        server.remove()
