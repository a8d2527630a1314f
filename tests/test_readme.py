"""The tours of README.md and docs/tour.md, and the examples of docs/registrar.md and docs/rules.md:
every command gets the response that is shown.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
from flask_migrate import upgrade

from devtools.gunicorn import Gunicorn
from devtools.topology import Topology

ROOT = Path(__file__).parent.parent
CURL = f"{sys.executable} {ROOT / 'devtools' / 'curl.py'}"
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
README, TOUR, REGISTRAR = "README.md", "docs/tour.md", "docs/registrar.md"
RULES = "docs/rules.md"


def tour(document: str) -> list[tuple[str, list[str]]]:
    """Each command of the console blocks, with the lines of its response. A backslash at the end of
    a line continues the command.
    """
    steps: list[tuple[str, list[str]]] = []
    text = (ROOT / document).read_text()
    for block in re.findall("```console\n(.*?)```", text, flags=re.DOTALL):
        for line in block.replace("\\\n", "").splitlines():
            if line.startswith("$ "):
                steps.append((line[2:], []))
            else:
                steps[-1][1].append(line)
    return steps


def matches(shown: str, line: str, document: str) -> bool:
    """Whether a line is the one shown. `…` stands for any text, except in the long tour: it shows
    everything but the times.
    """
    if document != TOUR:
        return re.fullmatch(".+?".join(map(re.escape, shown.split("…"))), line) is not None
    return MOMENT.sub("", shown).rstrip() == MOMENT.sub("", line).rstrip()


# `make test` follows the README behind nginx too, and `make test-all` every page.
SERVED = [
    pytest.param(by, page, marks=[pytest.mark.slow] if by == "nginx" and page != README else [])
    for by in ("gunicorn", "nginx")
    for page in (README, REGISTRAR, RULES)
]
# The tour is the longest page. `make test` follows it with curl on SQLite and with devtools/curl.py
# on PostgreSQL, and `make test-all` in all ways.
QUICK_TOURS = (("sqlite", "gunicorn", "curl"), ("postgresql", "gunicorn", "curl.py"))
TOURS = [
    pytest.param(*way, marks=[] if way in QUICK_TOURS else [pytest.mark.slow])
    for way in product(("sqlite", "postgresql"), ("gunicorn", "nginx"), ("curl", "curl.py"))
]


@pytest.fixture
def serve_new(new_database, make_app, tmp_path):
    """Starts the service on a new database."""

    def start(kind, by):
        url = new_database(kind)
        with make_app(url).app_context():
            upgrade()
        if by == "gunicorn":
            return Gunicorn({"DATABASE_URL": url}, log=tmp_path / "log")
        return Topology({"DATABASE_URL": url})

    return start


@pytest.mark.parametrize(("by", "document"), SERVED)
def test_the_commands_of_a_page_give_the_shown_responses(backend, serve_new, by, document):
    with serve_new(backend, by) as service:
        follow(service, document)


@pytest.mark.parametrize(("kind", "by", "curl"), TOURS)
def test_the_commands_of_the_tour_give_the_shown_responses(serve_new, kind, by, curl):
    """On machines without curl, devtools/curl.py sends and prints the same."""
    with serve_new(kind, by) as service:
        follow(service, TOUR, *([CURL] if curl == "curl.py" else []))


@pytest.mark.parametrize(
    ("shown", "line", "same"),
    [
        ('{"id":1,…}', '{"id":1,"name":"Ada"}', True),
        ('{"id":1,…}', '{"id":2,"name":"Ada"}', False),
        ('{"id":1,…,"version":1}', '{"id":1,"name":"Ada","version":2}', False),
        ('{"id":1}', '{"id":1,"name":"Ada"}', False),
    ],
)
def test_a_shortened_response_hides_no_difference(shown, line, same):
    assert matches(shown, line, README) is same


def test_the_readme_fits_on_150_lines():
    assert len((ROOT / README).read_text().splitlines()) <= 150


def follow(
    service: Gunicorn | Topology,
    document: str,
    curl: str = "curl" if shutil.which("curl") else CURL,
) -> None:
    """Take every step of the tour."""
    steps = tour(document)
    assert len(steps) >= 8
    for line, shown in steps:
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
        got = done.stdout.strip().splitlines()
        assert len(got) == len(shown), (command, got)
        for one, other in zip(shown, got, strict=True):
            assert matches(one, other, document), (command, one, other)
