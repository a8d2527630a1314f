"""The README's tour, word for word: every command is run, and every answer is the one it shows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from flask_migrate import upgrade

from devtools.gunicorn import Gunicorn
from devtools.topology import Topology

ROOT = Path(__file__).parent.parent
CURL = f"{sys.executable} {ROOT / 'devtools' / 'curl.py'}"
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def tour() -> list[tuple[str, list[str]]]:
    """Each command of the console blocks with the lines of its answer."""
    steps: list[tuple[str, list[str]]] = []
    for block in re.findall(
        "```console\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL
    ):
        for line in block.splitlines():
            if line.startswith("$ "):
                steps.append((line[2:], []))
            else:
                steps[-1][1].append(line)
    return steps


@pytest.mark.parametrize("by", ["gunicorn", "nginx"])
def test_the_tour_of_the_readme_is_true(backend, new_database, make_app, tmp_path, by):
    url = new_database(backend)
    with make_app(url).app_context():
        upgrade()
    with (
        Gunicorn({"DATABASE_URL": url}, log=tmp_path / "log")
        if by == "gunicorn"
        else Topology({"DATABASE_URL": url}) as service
    ):
        follow(service)


def test_the_tour_needs_no_curl(new_database, make_app, tmp_path):
    """The stand-in of machines without curl sends and prints what curl does."""
    url = new_database("sqlite")
    with make_app(url).app_context():
        upgrade()
    with Gunicorn({"DATABASE_URL": url}, log=tmp_path / "log") as service:
        follow(service, curl=CURL)


def follow(
    service: Gunicorn | Topology, curl: str = "curl" if shutil.which("curl") else CURL
) -> None:
    """Take every step of the tour."""
    assert len(tour()) > 10
    for line, shown in tour():
        command = line.replace("http://127.0.0.1:8000", service.url).replace(
            ".venv/bin", str(Path(sys.executable).parent)
        )
        command = re.sub("^curl ", f"{curl} ", command)
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=ROOT,
            env={**os.environ, **service.env},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (command, done.stderr)
        if shown:
            assert [
                line.rstrip() for line in MOMENT.sub("…", done.stdout).strip().splitlines()
            ] == [MOMENT.sub("…", line).rstrip() for line in shown], command
