"""No space for the log, no space for the SQLite file, and a database that accepts no writes.

A limit on the size of files (RLIMIT_FSIZE) takes the space away from running processes. It needs no
root and no disk of its own: a write fails in the system call, as on a full disk. The drills were
also run once on a full tmpfs (ENOSPC).
"""

from __future__ import annotations

import re
import resource
import time
from contextlib import closing, contextmanager

import psycopg2
import pytest

from devtools.gunicorn import crowd
from devtools.topology import Topology
from devtools.waiting import wait_until
from tests.deploy.client import ask, events
from tests.drills import size
from tests.drills.conftest import NO_LIMITS
from tests.drills.storm import Storm, audit


@contextmanager
def full(up, path):
    """Limit all files of the workers to the current size of the file at `path`."""
    whole = resource.prlimit(up.gunicorn.pid, resource.RLIMIT_FSIZE)
    pids = up.worker_pids()
    for pid in pids:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (path.stat().st_size, whole[1]))
    try:
        yield
    finally:
        for pid in pids:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, whole)


def test_no_space_for_the_log(up, record_property):
    """Fails if `JsonHandler.write` raises: committed requests then get no response."""
    with Storm(up, courses=size(20, 80)) as storm:
        storm.wait_for(50)
        with full(up, up.gunicorn_log):
            storm.wait_for(size(300, 5000))
        storm.wait_for(100)
    assert (storm.broken, storm.statuses()) == ([], set())
    seen = events(up.gunicorn_log)  # whole lines, each of them JSON
    lost = [event["lines"] for event in seen if event["event"] == "log lines late or lost"]
    assert sum(lost) >= 300
    record_property("answered", len(storm.final))
    record_property("lines late or lost, counted", sum(lost))


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    """The service on SQLite."""
    path = tmp_path_factory.mktemp("embedded") / "school.db"
    with Topology(
        {"DATABASE_URL": f"sqlite:///{path}", "LOG_LEVEL": "WARNING"}, nginx=NO_LIMITS
    ) as running:
        running.file = path
        yield running


def test_no_space_for_the_sqlite_file(embedded, record_property):
    """Fails with 500s if SQLite's IOERR and FULL are not among the codes that mean unavailable."""
    made = [("POST", "/students", {"name": f"Student {i}"}) for i in range(size(200, 5000))]
    kept = {answer.json["id"] for answer in crowd(embedded.port, made[:100], 4)}
    with full(embedded, embedded.file):
        answers = crowd(embedded.port, made, 4)
        reads = crowd(embedded.port, [("GET", "/courses")] * 20, 4)
    assert {answer.status for answer in answers} == {201, 503} or {
        answer.status for answer in answers
    } == {503}
    assert {answer.headers["Retry-After"] for answer in answers if answer.status == 503} == {"2"}
    assert {answer.status for answer in reads} == {200}
    reasons = set(
        re.findall(r'"database unavailable".*"reason":"(\w+)', embedded.gunicorn_log.read_text())
    )
    assert reasons and reasons <= {"SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE"}
    kept |= {answer.json["id"] for answer in answers if answer.status == 201}
    wait_until(lambda: ask(embedded, "POST", "/students", {"name": "After"}).status == 201)
    there = {i: ask(embedded, "GET", f"/students/{i}").status for i in kept}
    assert set(there.values()) == {200}
    audit(embedded)
    record_property("503", sum(answer.status == 503 for answer in answers))
    record_property("students told they are in, and there", len(kept))


def test_postgresql_accepts_no_writes(up, record_property):
    """Reads work. Writes get 503, with the reason in the log. Fails with 500s without 25006 in
    `db/integrity.py`.
    """

    def read_only(state):
        with closing(psycopg2.connect(up.postgres.url)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("SET default_transaction_read_only = off")
                cursor.execute(f"ALTER SYSTEM SET default_transaction_read_only = {state}")
                cursor.execute("SELECT pg_reload_conf()")

    with Storm(up, courses=size(20, 60)) as storm:
        storm.wait_for(50)
        read_only("on")
        wait_until(lambda: len(storm.refused) > size(50, 500))
        assert ask(up, "GET", "/courses").status == 200
        assert ask(up, "GET", "/health/ready").status == 200
        read_only("off")
        began = time.monotonic()
        storm.wait_for(100)
    assert (storm.broken, storm.statuses()) == ([], {503})
    assert any(str(e.get("reason")).startswith("25006") for e in events(up.gunicorn_log))
    record_property("answered", len(storm.final))
    record_property("503", len(storm.refused))
    record_property("a hundred more after it within", f"{time.monotonic() - began:.1f} s")
