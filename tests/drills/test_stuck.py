"""PostgreSQL hangs, or all threads are busy. Requests end in time, and others are served."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
import pytest

from devtools.gunicorn import crowd
from devtools.stock import STOCK_SETTINGS
from devtools.topology import Topology
from devtools.waiting import wait_until
from tests.deploy.client import Load, ask, events
from tests.drills import size
from tests.drills.storm import audit

# seconds within which any request is answered; lengths of the waits in it:
# course_management/db/base.py
DEADLINE = 13


class Asked(threading.Thread):
    """A request under way: its `answer`, and the seconds it `took`."""

    def __init__(self, up, *request):
        super().__init__()
        self.up, self.request = up, request
        self.start()

    def run(self):
        began = time.monotonic()
        self.answer = ask(self.up, *self.request)
        self.took = time.monotonic() - began


def finish(*asked):
    for one in asked:
        one.join()
    return {code(one.answer) for one in asked}


def code(answer):
    return (
        (answer.status, answer.json["type"].rpartition("/")[2])
        if answer.status >= 400
        else (answer.status, "")
    )


@pytest.fixture
def sql(up):
    """A connection to the database beside those of the service."""
    with closing(psycopg2.connect(up.postgres.url)) as connection:
        yield connection.cursor()


@pytest.fixture
def course(up):
    """The address of a course."""
    return ask(up, "POST", "/courses", {"name": f"Stuck {time.time_ns()}", "level": "x"}).headers[
        "Location"
    ]


@pytest.fixture
def hang(sql):
    """A trigger: creating a student named Hang takes a minute."""
    sql.connection.autocommit = True
    sql.execute(
        "CREATE FUNCTION hang() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM "
        "pg_sleep(60); RETURN NEW; END $$;"
        "CREATE TRIGGER hang BEFORE INSERT ON students FOR EACH ROW WHEN (NEW.name = 'Hang') "
        "EXECUTE FUNCTION hang()"
    )
    yield
    sql.execute("DROP TRIGGER hang ON students; DROP FUNCTION hang")


def test_a_hanging_statement_and_a_lock_of_another_session(up, sql, hang, course, record_property):
    """Fails without `statement_timeout`: one request is then a 504 after a minute, and others wait
    15 s for the lock. Fails without extra threads, too: other requests are then refused.
    """
    wanted = [
        ("PATCH", course, {"level": "y"}),
        ("PATCH", course, {"level": "z"}),
        ("POST", "/students", {"name": "Hang"}),
    ]
    ends, took = time.monotonic() + size(1, 60), []
    with closing(psycopg2.connect(up.postgres.url)) as holder, Load(up, clients=4) as others:
        holder.cursor().execute(
            "SELECT 1 FROM courses WHERE id = %s FOR UPDATE", (course.rpartition("/")[2],)
        )
        while time.monotonic() < ends:
            stuck = [Asked(up, *request) for request in wanted]
            assert finish(*stuck) == {(503, "service-unavailable")}
            took += [one.took for one in stuck]
    assert ask(up, "PATCH", course, {"level": "z"}).status == 200
    assert max(took) < DEADLINE
    assert (others.broken, others.statuses()) == ([], {200, 201})
    assert others.slowest < 2
    sql.execute("SELECT count(*) FROM students WHERE name = 'Hang'")
    assert sql.fetchone() == (0,)
    record_property("answered 503", f"{len(took)} within {max(took):.1f} s")
    record_property("others", f"{len(others.answers)}, the slowest {others.slowest:.2f} s")


def family(pid):
    """A process and all its descendants."""
    found = [pid]
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        found += family(int(child))
    return found


@contextmanager
def frozen(postgres):
    """PostgreSQL accepts connections and bytes and never answers, like a host whose disk hangs."""
    pids = family(int((postgres.home / "data" / "postmaster.pid").read_text().split()[0]))
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in reversed(pids):
            os.kill(pid, signal.SIGCONT)


@pytest.mark.fast_parts  # gthread lets requests wait for a stuck thread; the next test is for it
def test_a_silent_database(up, course, record_property):
    """Fails without the watchdog: the threads then wait until PostgreSQL continues, and nginx
    answers 504 after a minute.
    """
    for _ in range(size(1, 3)):
        crowd(up.port, [("GET", course)] * 32, 16)
        with frozen(up.postgres):
            stuck = [Asked(up, "GET", course) for _ in range(12)] + [
                Asked(up, "POST", "/students", {"name": "x"})
            ]
            told = finish(*stuck)
        assert told <= {(503, "service-unavailable"), (503, "overloaded")}
        assert max(one.took for one in stuck) < DEADLINE + 1
        back = time.monotonic()
        wait_until(lambda: ask(up, "GET", course).status == 200)
        assert {answer.status for answer in crowd(up.port, [("GET", course)] * 50, 12)} == {200}
    assert any(e["event"] == "database said nothing" for e in events(up.gunicorn_log))
    record_property("answered 503", f"within {max(one.took for one in stuck):.1f} s")
    record_property("well again after", f"{time.monotonic() - back:.1f} s")
    audit(up)


@pytest.mark.parametrize(
    "settings", [{"WORKER": "gthread"}, STOCK_SETTINGS], ids=["gthread", "stock"]
)
def test_a_silent_database_with_several_workers(settings, record_property):
    """The watchdog does not depend on our worker. The test sends no more requests than one worker
    has threads, because gthread refuses no waiting request.
    """
    with Topology(settings) as other:
        with frozen(other.postgres):
            stuck = [Asked(other, "GET", "/courses") for _ in range(3)]
            told = finish(*stuck, Asked(other, "POST", "/students", {"name": "x"}))
        wait_until(lambda: ask(other, "GET", "/courses").status == 200)
        logged = any(e["event"] == "database said nothing" for e in events(other.gunicorn_log))
    assert told == {(503, "service-unavailable")}
    assert max(one.took for one in stuck) < DEADLINE + 1
    assert logged
    record_property("answered 503", f"within {max(one.took for one in stuck):.1f} s")


def test_ten_connections_per_thread(up, course, record_property):
    """Responses get slower, and none is refused while threads become free."""
    requests = [("GET", course), ("POST", "/students", {"name": "Crowd"})] * size(500, 10_000)
    began = time.monotonic()
    answers = crowd(up.port, requests, 80)
    took = time.monotonic() - began
    assert {answer.status for answer in answers} == {200, 201}
    record_property("connections", 80)
    record_property("answered", f"{len(answers)} at {len(answers) / took:.0f}/s")


@pytest.mark.fast_parts  # gthread refuses no request while its threads are stuck
def test_every_thread_stuck(up, sql, course, record_property):
    """Fails without the refusals of the supervisor: all requests then wait as long as the first."""
    sql.execute("SELECT 1 FROM courses WHERE id = %s FOR UPDATE", (course.rpartition("/")[2],))
    stuck = [Asked(up, "PATCH", course, {"level": f"y{i}"}) for i in range(80)]
    wait_until(lambda: sum(not one.is_alive() for one in stuck) >= 60)
    refused = [one for one in stuck if not one.is_alive()]
    live = Asked(up, "GET", "/health/live")
    live.join()
    sql.connection.rollback()
    finish(*stuck)
    assert {code(one.answer) for one in refused} == {(503, "overloaded")}
    assert {one.answer.headers["Retry-After"] for one in refused} == {"2"}
    assert max(one.took for one in refused) < 5
    assert code(live.answer) in ((503, "overloaded"), (200, ""))
    assert {code(one.answer) for one in stuck} <= {(503, "overloaded"), (200, "")}
    assert ask(up, "GET", course).status == 200
    record_property(
        "refused", f"{len(refused)} of 80 within {max(one.took for one in refused):.1f} s"
    )
