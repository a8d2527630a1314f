"""The benchmarks run with little data and do their work. No test measures time."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import psycopg2
import pytest
from flask_migrate import upgrade

from benchmarks.client import Answer
from benchmarks.opening import Opening
from benchmarks.picture import Chart, draw
from benchmarks.plans import scanned
from benchmarks.workloads import WORKS
from devtools.gunicorn import ROOT


def run(name, **env):
    program = [sys.executable, "-m", f"benchmarks.{name}"]
    done = subprocess.run(
        program,
        cwd=ROOT,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.mark.slow
def test_bench_measures_every_kind_without_a_failed_request():
    """Fails with a workload that repeats a request: an enrollment that exists already gets 200."""
    done = run("bench", SECONDS="0.2", CONNECTIONS="4", STUDENTS="2000", COURSES="400")
    assert done.returncode == 0, done.stdout + done.stderr
    table, _, limit = done.stdout.partition("the limit")
    assert [
        line[0] for line in map(str.split, table.splitlines()) if len(line) == 9 and line[-1] == "0"
    ] == list(WORKS)
    compared = re.findall(r"^ +[\d.]+ times the CPU time .* of (\S+)$", table, re.MULTILINE)
    assert compared == [work.beside for work in WORKS.values() if work.beside]
    assert re.findall(r"^(\w+) +\d+ per second; the service", limit, re.MULTILINE) == [
        "list",
        "mine",
        "enroll",
    ]


@pytest.mark.slow
def test_storm_draws_its_verdict(tmp_path):
    done = run(
        "storm", STUDENTS="200", SEATS="20", CONNECTIONS="8", PICTURE=str(tmp_path / "storm.svg")
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for line in (
        "200 students, 20 seats, 8 connections, 10 seats given back on the way",
        "promotions  10",
        "oversold    0",
        "audit       clean",
        f"picture     {tmp_path / 'storm.svg'}",
    ):
        assert line in done.stdout.splitlines(), done.stdout
    chart = ElementTree.parse(tmp_path / "storm.svg")
    texts = [text.text for text in chart.iter("{http://www.w3.org/2000/svg}text")]
    for text in (
        "20 of 20 seats taken, 0 oversold",
        "capacity 20",
        "Seats taken: 20",
        "Promotions: 10",
        "Responses per second",
        "seconds since the start",
        "drops 204: 10",
        "errors: 0",
        "10 seats given back",
    ):
        assert text in texts, texts
    waited = next(
        int(text.removeprefix("waitlisted 201: "))
        for text in texts
        if text.startswith("waitlisted 201: ")
    )
    assert f"Waitlist length: {waited - 10}" in texts


@pytest.mark.slow
def test_a_storm_may_begin_when_a_window_opens(tmp_path):
    picture = tmp_path / "storm.svg"
    sizes = {"STUDENTS": "200", "SEATS": "20", "CONNECTIONS": "8"}
    done = run("storm", WINDOW="2", PICTURE=str(picture), **sizes)
    assert done.returncode == 0, done.stdout + done.stderr
    for line in ("oversold    0", "opening     right", "audit       clean"):
        assert line in done.stdout.splitlines(), done.stdout
    before, early = re.search(
        r"before +(\d+) requests, (\d+) of them too early", done.stdout
    ).groups()
    assert int(before) >= int(early) > 0
    assert f"too early 409: {int(early):,}, until the window opens" in picture.read_text()


OPENS = datetime(2026, 4, 6, 8, tzinfo=UTC)


def too_early(opens_at=OPENS, rule="registration-not-open"):
    broken = [{"rule": rule, "facts": {"opens_at": opens_at.isoformat()}}]
    return json.dumps({"type": "/problems/rules-broken", "broken": broken}).encode()


@pytest.mark.parametrize(
    ("early", "later", "first_event", "fault"),
    [
        (Answer(409, too_early(), -2, -1), Answer(201, b"", 1, 2), 0.5, ""),
        (Answer(201, b"", -2, -1), Answer(201, b"", 1, 2), 0.5, "granted before"),
        (Answer(409, too_early(), -2, -1), Answer(201, b"", 1, 2), -0.5, "the history has a seat"),
        (
            *(Answer(409, too_early(OPENS + timedelta(days=1)), -2, -1), Answer(201, b"", 1, 2)),
            *(0.5, "not told when"),
        ),
        (Answer(409, too_early(rule="hold"), -2, -1), Answer(201, b"", 1, 2), 0.5, "not told when"),
        (
            *(Answer(409, too_early(), -2, -1), Answer(409, too_early(), 1, 2)),
            *(0.5, "refused after"),
        ),
    ],
)
def test_a_wrong_opening_is_found(early, later, first_event, fault):
    """The times of the answers are seconds since the window opened."""
    at = OPENS.timestamp()
    began = at - time.time() + time.perf_counter()
    early, later = (
        replace(answer, sent=began + answer.sent, came=began + answer.came)
        for answer in (early, later)
    )
    granted = [answer for answer in (early, later) if answer is later or answer.status == 201]
    faults = Opening(at, [(1, early)]).faults(granted, at + first_event)
    assert fault in "; ".join(faults)
    assert bool(faults) == bool(fault)


def test_equal_charts_are_equal_files(tmp_path):
    responses = {
        "enrolled 201": [0.1],
        "waitlisted 201": [0.2],
        "refused 409": [],
        "drops 204": [0.7],
        "errors": [],
    }
    chart = Chart(
        "1 of 1 seats taken", "", 1, 1.0, [(0.1, 1, 0), (0.9, 1, 1)], [0.7], responses, (0.7, 0.7)
    )
    for name in ("one.svg", "two.svg"):
        draw(tmp_path / name, chart)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


@pytest.mark.slow
def test_growth_measures_every_route(new_database, make_app):
    done = run("growth", SIZE="60000", PART="2", TIMES="1")
    labels = [line for line in done.stdout.splitlines() if re.search(r" \d+/\d+  ", line)]
    assert f"{len(labels)} kinds of requests" in done.stdout, done.stdout + done.stderr
    asked = set()
    for label in labels:
        method, path = re.match(r"([A-Z]+ )?(\S+)", label).groups()
        asked.add(((method or "GET").strip(), re.sub(r"{\w+}", "{}", path.partition("?")[0])))
    paths = make_app(new_database("sqlite")).test_client().get("/openapi.json").json["paths"]
    routes = {
        (method.upper(), re.sub(r"{\w+}", "{}", path))
        for path, methods in paths.items()
        for method in methods
    }
    features = "/(students|courses|terms|catalog|groups)"
    assert {route for route in routes - asked if re.match(features, route[1])} == set()


@pytest.mark.slow
def test_profile_splits_the_cost_of_a_request():
    done = run(
        "profile", WORK="list enroll-term", BATCHES="1", TIMES="5", STUDENTS="500", COURSES="80"
    )
    assert done.returncode == 0, done.stderr
    for one in done.stdout.split("statements besides")[1:]:
        whole = float(re.search(r"(\d+) us in the median", one)[1])
        layers = one.partition("layer")[2].partition("function, by itself")[0]
        assert sum(
            map(float, re.findall(r"^ +([\d.]+)  \S", layers, re.MULTILINE))
        ) == pytest.approx(whole, rel=0.02)


@pytest.mark.parametrize(
    ("statement", "tables"),
    [
        ("SELECT id FROM students WHERE name = 'Ada'", ["students"]),
        ("DELETE FROM student_courses WHERE ticket = 7", ["student_courses"]),
        ("SELECT id FROM students WHERE id = 7", []),
    ],
)
def test_a_sequential_scan_is_found(new_database, make_app, statement, tables):
    url = new_database("postgresql")
    with make_app(url).app_context():
        upgrade()
    connection = psycopg2.connect(url.replace("+psycopg2", ""))
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO students (name, name_key, created_at, updated_at, version)"
            " SELECT 'x', 'x', now(), now(), 1 FROM generate_series(1, 1000)"
        )
        assert scanned(cursor, [(statement, None)]) == tables
    connection.close()
