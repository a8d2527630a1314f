"""/metrics after known traffic: in one process, across workers, and after a worker was killed."""

from __future__ import annotations

import os
import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask_migrate import upgrade
from prometheus_client.parser import text_string_to_metric_families

from course_management.db.base import db
from course_management.db.transaction import transaction
from devtools.gunicorn import Gunicorn
from devtools.postgres import Server
from devtools.waiting import eventually
from tests.deploy.promtool import promtool

PREFIX = "course_management_"


def figures(text):
    """Every sample of the text `exposition`, by its name without the prefix and its labels."""
    samples = (
        sample for family in text_string_to_metric_families(text) for sample in family.samples
    )
    return {
        (s.name.removeprefix(PREFIX), *(f"{k}={v}" for k, v in sorted(s.labels.items()))): s.value
        for s in samples
    }


def total(found, name, *labels):
    """The sum of the samples with this name and these labels."""
    return sum(value for key, value in found.items() if key[0] == name and set(labels) <= set(key))


@pytest.fixture
def more(client):
    """The increase of a metric of this process since the test began."""
    before = figures(client.get("/metrics").text)
    return lambda name, *labels: (
        total(figures(client.get("/metrics").text), name, *labels) - total(before, name, *labels)
    )


def test_the_format_is_that_of_prometheus(client, make):
    student, course = make.student()["id"], make.course(capacity=0)["id"]
    client.post(f"/students/{student}/enroll", json={"course_ids": [course]})
    answer = client.get("/metrics")
    assert (answer.status_code, answer.headers["Content-Type"]) == (
        200,
        "text/plain; version=0.0.4; charset=utf-8",
    )
    assert client.get("/api/v1/metrics").status_code == 404
    assert "/metrics" not in client.get("/openapi.json").json["paths"]


@pytest.mark.debian
def test_promtool_accepts_the_metrics(client, make):
    student, course = make.student()["id"], make.course(capacity=0)["id"]
    client.post(f"/students/{student}/enroll", json={"course_ids": [course]})
    promtool("check", "metrics", given=client.get("/metrics").text)


def test_requests_by_route_method_and_status(client, make, more):
    course = make.course()["id"]
    for path in (f"/courses/{course}", f"/api/v1/courses/{course}", "/courses/999"):
        client.get(path)
    assert more("http_requests_total", "method=GET", "route=/courses/{course}", "status=200") == 2
    assert more("http_requests_total", "method=GET", "route=/courses/{course}", "status=404") == 1
    assert more("http_request_duration_seconds_count", "method=GET", "route=/courses/{course}") == 3
    assert (
        more(
            "http_request_duration_seconds_bucket",
            "method=GET",
            "route=/courses/{course}",
            "le=+Inf",
        )
        == 3
    )
    assert 0 < more("http_request_duration_seconds_sum", "route=/courses/{course}") < 3
    assert more("http_requests_in_flight") == 0


def test_unknown_paths_and_methods_add_no_series(client):
    """If the path or the method of a request is a label as it is, this adds a thousand series."""
    client.open("/nowhere", method="BREW")
    before = len(figures(client.get("/metrics").text))
    for i in range(1000):
        client.open(f"/nowhere/{i}", method=f"BREW{i}")
        client.open("/courses", method=f"BREW{i}")
        client.get(f"/courses/nonsense-{i}")
    after = figures(client.get("/metrics").text)
    assert total(after, "http_requests_total", "method=other", "route=unmatched") >= 2000
    assert len(after) - before <= 20  # GET /courses/{course} may have been new


def test_refusals_by_code(client, make, more):
    student, course = make.student()["id"], make.course(capacity=0)["id"]
    client.post(f"/students/{student}/enroll", json={"course_ids": [course]})
    client.post("/courses", json={"name": 1})
    client.get("/nowhere")
    assert {
        code: more("refusals_total", f"code={code}")
        for code in ("course-full", "invalid", "not-found", "stale")
    } == {
        "course-full": 1,
        "invalid": 1,
        "not-found": 1,
        "stale": 0,
    }


def test_every_code_has_a_counter_from_the_start(client):
    """Prometheus sees no increase in a series that begins at 1."""
    found = figures(client.get("/metrics").text)
    assert {
        ("refusals_total", f"code={code}")
        for code in ("internal-error", "waitlist-full", "overloaded")
    } <= set(found)


def test_seats_waitlists_and_promotions(client, make, more):
    students = [make.student()["id"] for _ in range(4)]
    course = make.course(capacity=2, waitlist_capacity=5)["id"]
    client.post(f"/courses/{course}/students", json={"student_ids": students, "waitlist": True})
    eventually(lambda: total(figures(client.get("/metrics").text), "waitlisted"), 2)
    client.post(f"/courses/{course}/drop", json={"student_ids": students[:1]})
    assert more("enrollments_total") == 2
    assert more("waitlist_joins_total") == 2
    assert more("promotions_total") == 1
    assert more("drops_total") == 1
    eventually(lambda: total(figures(client.get("/metrics").text), "waitlisted"), 1)


def test_a_rolled_back_change_is_not_counted(app, client, make, more, monkeypatch):
    """Fails if events are counted by `note` instead of after the commit."""
    from course_management.enrollments import views

    student, course = make.student()["id"], make.course()["id"]
    json_response = views.json_response

    def broken(*_, **__):
        raise RuntimeError

    monkeypatch.setattr(views, "json_response", broken)
    assert (
        client.post(f"/students/{student}/enroll", json={"course_ids": [course]}).status_code == 500
    )
    assert (more("enrollments_total"), more("refusals_total", "code=internal-error")) == (0, 1)
    monkeypatch.setattr(views, "json_response", json_response)
    assert (
        client.post(f"/students/{student}/enroll", json={"course_ids": [course]}).status_code == 201
    )
    assert more("enrollments_total") == 1


def test_statements_and_connections(client, make, more, backend):
    make.course()
    client.get("/courses")
    kinds = {"postgresql": ("insert", "commit"), "sqlite": ("begin", "insert", "select", "commit")}[
        backend
    ]
    for kind in kinds:
        assert more("db_statement_duration_seconds_count", f"kind={kind}") >= 1
    found = figures(client.get("/metrics").text)
    assert total(found, "db_pool_connections") >= 1
    assert total(found, "db_pool_size") == 4


def test_waitlisted_students_are_counted_with_the_index(app, backend):
    """100,000 courses without a waitlist do not slow down a scrape."""
    from course_management.ops.metrics_view import _WAITING

    with app.app_context(), transaction(writing=True) as session:
        query = _WAITING.compile(db.engine)
        if backend == "postgresql":
            session.execute(sa.text("SET LOCAL enable_seqscan = off"))
            plan = session.execute(sa.text(f"EXPLAIN {query}")).scalars().all()
        else:
            plan = [row.detail for row in session.execute(sa.text(f"EXPLAIN QUERY PLAN {query}"))]
    assert any("ix_student_courses_line" in line for line in plan), plan


def test_the_last_audit(app, client):
    before = time.time()
    app.test_cli_runner().invoke(args=["audit"])
    eventually(
        lambda: (
            total(figures(client.get("/metrics").text), "audit_timestamp_seconds") >= before - 1
        ),
        wanted=True,
    )
    found = figures(client.get("/metrics").text)
    assert total(found, "audit_violations") == 0
    assert 0 <= total(found, "audit_duration_seconds") < 10
    assert (total(found, "database_up"), total(found, "ready")) == (1, 1)


def test_without_an_audit_the_timestamp_is_zero(client):
    def seen():
        found = figures(client.get("/metrics").text)
        return found.get(("audit_timestamp_seconds",)), ("audit_violations",) in found

    eventually(seen, (0, False))


def test_a_database_without_tables_is_up_and_not_ready(backend, new_database, make_app):
    found = figures(make_app(new_database(backend)).test_client().get("/metrics").text)
    assert (total(found, "database_up"), total(found, "ready"), ("waitlisted",) in found) == (
        1,
        0,
        False,
    )


def test_metrics_work_without_a_database(make_app):
    server = Server()
    try:
        app = make_app(server.url)
        with app.app_context():
            upgrade()
        client = app.test_client()
        assert total(figures(client.get("/metrics").text), "database_up") == 1
        server.stop()
        eventually(lambda: total(figures(client.get("/metrics").text), "database_up"), 0)
        answer = client.get("/metrics")
        found = figures(answer.text)
        assert (answer.status_code, total(found, "ready"), ("waitlisted",) in found) == (
            200,
            0,
            False,
        )
        assert total(found, "db_pool_size") > 0
        server.start()
        eventually(lambda: total(figures(client.get("/metrics").text), "ready"), 1)
        with app.app_context():
            db.engine.dispose()
    finally:
        server.remove()


@pytest.fixture
def service(app, tmp_path):
    """A server with three workers on the database of `app`."""
    url = app.config["SQLALCHEMY_DATABASE_URI"].render_as_string(hide_password=False)
    with Gunicorn(
        {"DATABASE_URL": url, "WEB_CONCURRENCY": "3", "THREADS": "2"}, log=tmp_path / "log"
    ) as server:
        yield server


def scraped(service):
    return figures(service.request("GET", "/metrics").body.decode())


def asked(service, count):
    with ThreadPoolExecutor(8) as pool:
        assert {
            answer.status
            for answer in pool.map(lambda _: service.request("GET", "/courses"), range(count))
        } == {200}


def test_any_worker_reports_all_workers_including_dead_ones(service):
    """Fails if each process has its own counts, or if the files of a dead process are removed."""
    of_courses = ("http_requests_total", "method=GET", "route=/courses", "status=200")
    asked(service, 120)
    assert {total(scraped(service), *of_courses) for _ in range(10)} == {120}
    assert total(scraped(service), "http_threads") == total(scraped(service), "db_pool_size") == 6
    for _ in range(2):
        victim = min(service.workers())
        os.kill(victim, signal.SIGKILL)
        eventually(lambda gone=victim: len(service.workers() - {gone}), 3)
    eventually(lambda: total(scraped(service), "http_threads"), 6)
    asked(service, 60)
    found = scraped(service)
    assert total(found, *of_courses) == 180
    assert (
        total(found, "http_request_duration_seconds_count", "method=GET", "route=/courses") == 180
    )
    assert total(found, "http_requests_in_flight") == 0


@pytest.mark.debian
def test_promtool_accepts_the_metrics_of_several_workers(service):
    asked(service, 20)
    promtool("check", "metrics", given=service.request("GET", "/metrics").body.decode())


def test_a_reload_keeps_the_counts_and_a_stop_removes_the_files(service):
    asked(service, 50)
    (folder,) = set(
        re.findall(
            "/[^ ]*course-management-metrics-[^/]*",
            Path(f"/proc/{min(service.workers())}/maps").read_text(),
        )
    )
    for _ in range(3):
        old = service.workers()
        service.process.send_signal(signal.SIGHUP)
        eventually(lambda old=old: (len(service.workers()), service.workers() & old), (3, set()))
    asked(service, 50)
    assert total(scraped(service), "http_requests_total", "route=/courses") == 100
    assert total(scraped(service), "http_threads") == 6
    assert len(list(Path(folder).glob("counter_*.db"))) <= 6
    service.process.send_signal(signal.SIGTERM)
    service.process.wait(30)
    assert not Path(folder).exists()


@pytest.fixture
def held(app, backend, service):
    """A request of `service` that waits for a lock until the block ends."""

    @contextmanager
    def hold():
        with ThreadPoolExecutor(1) as pool:
            with app.app_context(), transaction(writing=True) as session:
                if backend == "postgresql":  # SQLite has only one writer
                    session.execute(sa.text("LOCK TABLE courses IN SHARE MODE"))
                waiting = pool.submit(
                    service.request, "POST", "/courses", {"name": "Logic", "level": "x"}
                )
                eventually(
                    lambda: (waiting.done(), total(scraped(service), "http_requests_in_flight")),
                    (False, 1),
                )
                yield waiting

    return hold


def test_a_request_being_served_is_in_flight(service, held):
    """The scrape does not count itself."""
    with held() as waiting:
        pass
    assert waiting.result().status == 201
    eventually(lambda: total(scraped(service), "http_requests_in_flight"), 0)


def test_the_requests_of_a_killed_worker_are_not_in_flight(service, held):
    """Fails without `child_exit`: the request would be in flight for ever."""
    with held() as waiting:
        old = service.workers()
        for pid in old:
            os.kill(pid, signal.SIGKILL)
        assert isinstance(waiting.exception(30), OSError)
        eventually(lambda: (len(service.workers()), service.workers() & old), (3, set()))
        eventually(lambda: total(scraped(service), "http_requests_in_flight"), 0)


def test_early_refusals_of_the_server_are_counted(service):
    answer = service.request("GET", "/courses?q=" + "a" * 9000)
    assert answer.status == 414
    code = answer.json["type"].removeprefix("/problems/")
    found = scraped(service)
    assert total(found, "refusals_total", f"code={code}") == 1
    assert (
        total(
            found,
            "http_requests_total",
            f"status={answer.status}",
            "route=unmatched",
            "method=other",
        )
        == 1
    )
