"""The registrar acts while 64 clients enroll without a pause, and workers are killed in between, on
both databases.
"""

from __future__ import annotations

import http.client
import os
import random
import signal
import threading
import time
from contextlib import closing, contextmanager

import pytest
import sqlalchemy as sa
from flask_migrate import upgrade

from course_management.db.transaction import transaction
from course_management.history.models import EnrollmentEvent, Why
from devtools.gunicorn import Gunicorn, send
from devtools.waiting import eventually, wait_until
from tests.conftest import empty
from tests.databases import audit, connect, waiting_for_locks
from tests.drills import size

CLIENTS = 64
CANCEL_SECONDS = 2.0  # in which every cancellation is answered
LIMITS = ((None, 0), (20, None), (None, 0), (30, 10))  # of the courses: seats, waitlist


@pytest.fixture(scope="module")
def database(backend, new_database, make_app):
    """The app on a database of its own, and the address of that."""
    url = new_database(backend)
    app = make_app(url)
    with app.app_context():
        upgrade()
    return app, url


@pytest.fixture(scope="module", params=["2x4", "3x22"])
def served(request, database, tmp_path_factory):
    """The app, and the service with these workers and threads: as by default, and with a database
    connection for each client.
    """
    app, url = database
    workers, threads = request.param.split("x")
    log = tmp_path_factory.mktemp("gunicorn") / "log"
    settings = {"DATABASE_URL": url, "WEB_CONCURRENCY": workers, "THREADS": threads}
    with Gunicorn(settings, log) as server:
        yield app, server


class Fire:
    """Clients that enroll, swap and drop until the block ends.

    Each request has at most `most` courses. With a database connection for each client it should
    be 1: a request that holds one popular course while it waits for another may wait for seconds,
    also if nobody acts.
    """

    def __init__(self, app, server, most=3):
        self.server, self.client, self.most = server, app.test_client(), most
        names = [f"Course {time.time_ns()} {i}" for i in range(len(LIMITS))]
        self.courses = [
            self.client.post(
                "/courses",
                json={
                    "name": name,
                    "level": "x",
                    "capacity": seats,
                    "waitlist_capacity": positions,
                },
            ).json["id"]
            for name, (seats, positions) in zip(names, LIMITS, strict=True)
        ]
        self.students = [
            self.client.post("/students", json={"name": "S"}).json["id"] for _ in range(CLIENTS)
        ]
        self.statuses, self.over = [], threading.Event()
        self.broken, self.wrong = [], []

    def _enroll(self, student):
        rng = random.Random(student)
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        while not self.over.is_set():
            some = rng.sample(self.courses, rng.randint(1, self.most))
            path, body = (
                f"/students/{student}/enroll",
                {"course_ids": some, "waitlist": rng.random() < 0.8},
            )
            # PUT also drops all other courses, and locks them.
            method = rng.choice(["POST", "POST", "PUT" if self.most > 1 else "DELETE", "DELETE"])
            if method == "DELETE":
                path, body = f"/students/{student}/courses/{some[0]}", None
            try:
                answer = send(connection, method, path, body)
            except (OSError, http.client.HTTPException) as error:
                self.broken.append(error)
                connection.close()
                continue
            self.statuses.append(answer.status)
            if answer.status not in (200, 201, 204, 404, 409):
                self.wrong.append((answer.status, answer.body))
        connection.close()

    @contextmanager
    def burning(self):
        threads = [threading.Thread(target=self._enroll, args=(s,)) for s in self.students]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.over.set()
            for thread in threads:
                thread.join()

    def wait_for(self, more):
        """Return when so many more requests have been answered."""
        wanted = len(self.statuses) + more
        wait_until(lambda: len(self.statuses) > wanted)

    def act(self, course, name, headers=None, **body):
        """The response of an act, and the seconds that it took."""
        began = time.monotonic()
        answer = self.server.request("POST", f"/courses/{course}/{name}", body, headers)
        return answer, time.monotonic() - began

    def set_status(self, course, status):
        answer = self.server.request("PATCH", f"/courses/{course}", {"status": status})
        assert (answer.status, answer.json["status"]) == (200, status), answer.body

    def roster(self, course):
        return self.client.get(f"/courses/{course}/students").json


@pytest.mark.parametrize("served", ["3x22"], indirect=True)
def test_a_popular_course_is_cancelled_in_two_seconds(served, record_property):
    """The clients keep enrolling in the course until it is closed to them."""
    app, server = served
    empty(app)
    fire, slowest = Fire(app, server, most=1), 0.0
    with fire.burning():
        for course in fire.courses * size(1, 10):
            fire.wait_for(2 * CLIENTS)
            answer, seconds = fire.act(course, "cancel", reason="No teacher")
            assert (answer.status, answer.json["status"]) == (200, "cancelled"), answer.body
            assert fire.roster(course) == []
            slowest = max(slowest, seconds)
            fire.set_status(course, "open")
    assert (fire.wrong, fire.broken) == ([], [])
    assert slowest < CANCEL_SECONDS
    audit(app)
    record_property("answered", len(fire.statuses))
    record_property("slowest cancellation", f"{slowest:.2f} s")


@pytest.mark.parametrize("served", ["2x4"], indirect=True)
def test_all_acts_while_students_enroll(served, record_property):
    """Nobody is in a cancelled course, and every change is in the history."""
    app, server = served
    empty(app)
    fire, rng, moved = Fire(app, server), random.Random(1), 0
    with fire.burning():
        for course in fire.courses * size(1, 10):
            other = rng.choice([one for one in fire.courses if one != course])
            fire.set_status(course, "closed")
            answer, _ = fire.act(course, "move", to=other, all=True, extend=True)
            assert answer.status == 200, answer.body
            moved += len(answer.json["added"]) + len(answer.json["waitlisted"])
            fire.set_status(course, "open")
            answer, _ = fire.act(other, "move", to=course, all=True, extend=True)
            assert answer.status == 200 or code(answer) == "course-busy", answer.body
            some = rng.sample(fire.students, 4)
            answer, _ = fire.act(course, "reinstate", student_ids=some)
            assert answer.status == 200 or code(answer) == "nothing-to-reinstate", answer.body
            answer, seconds = fire.act(course, "cancel", reason="No teacher")
            assert (answer.status, answer.json["status"]) == (200, "cancelled"), answer.body
            assert seconds < CANCEL_SECONDS
            assert fire.roster(course) == []
            fire.set_status(course, "open")
        for course in fire.courses[:2]:
            answer, _ = fire.act(course, "cancel")
            assert answer.status == 200, answer.body
    assert (fire.wrong, fire.broken) == ([], [])
    assert moved
    assert [fire.roster(course) for course in fire.courses[:2]] == [[], []]
    audit(app)
    record_property("answered", len(fire.statuses))
    record_property("moved", moved)


@pytest.mark.parametrize("served", ["3x22"], indirect=True)
def test_workers_killed_while_courses_are_cancelled(served, record_property):
    """The registrar sends the same request until it is answered. Its one response tells of all that
    its attempts did.
    """
    app, server = served
    empty(app)
    fire, rng, attempts, cancels = Fire(app, server, most=1), random.Random(2), 0, size(6, 40)
    with fire.burning():
        for i in range(cancels):
            course = fire.courses[i % len(fire.courses)]
            fire.wait_for(2 * CLIENTS)
            headers = {"Idempotency-Key": f"cancel-{i}", "X-Request-ID": f"cancel-{i}"}
            killer = threading.Timer(
                rng.uniform(0, 0.06), os.kill, [rng.choice([*server.workers()]), signal.SIGKILL]
            )
            killer.start()
            answer = None
            while answer is None:
                attempts += 1
                try:
                    answer, _ = fire.act(course, "cancel", headers, reason="No teacher")
                except (OSError, http.client.HTTPException):
                    continue
            killer.join()
            assert (answer.status, answer.json["status"]) == (200, "cancelled"), answer.body
            assert fire.roster(course) == []
            assert told(answer) == written(app, f"cancel-{i}")
            eventually(lambda: len(server.workers()), 3)
            if i + len(fire.courses) < cancels:
                fire.set_status(course, "open")
    assert fire.wrong == []
    assert [fire.roster(course) for course in fire.courses] == [[]] * len(fire.courses)
    audit(app)
    record_property("cancellations", cancels)
    record_property("sent again", attempts - cancels)
    record_property("connections cut off", len(fire.broken))


@pytest.mark.parametrize("finish", ["the same request", "tick"])
def test_a_worker_killed_between_the_transactions(postgres_app, tmp_path, finish):
    """The first transaction has cancelled the course, the second waits for an enrollment when the
    worker is killed. Fails if a repetition of the request does not do the second one.
    """
    app = postgres_app
    url = app.config["SQLALCHEMY_DATABASE_URI"].render_as_string(hide_password=False)
    with Gunicorn({"DATABASE_URL": url, "WEB_CONCURRENCY": "1"}, tmp_path / "log") as server:
        fire = Fire(app, server)
        course, student = fire.courses[1], fire.students[0]
        body = {"student_ids": fire.students[:30], "waitlist": True}
        assert server.request("POST", f"/courses/{course}/students", body).status == 201
        headers = {"Idempotency-Key": "once", "X-Request-ID": "once"}
        with closing(connect(app)) as enrolling:
            enrolling.cursor().execute("SELECT pg_advisory_xact_lock_shared(%s)", [-course])
            lost = []
            asking = threading.Thread(target=lambda: lost.append(attempt(fire, course, headers)))
            asking.start()
            eventually(lambda: waiting_for_locks(app), 1)
            (worker,) = server.workers()
            os.kill(worker, signal.SIGKILL)
            asking.join()
        assert lost == [None]
        wait_until(lambda: server.workers() - {worker})
        assert fire.client.get(f"/courses/{course}").json["status"] == "cancelled"
        assert len(fire.roster(course)) == 30
        answer = server.request("POST", f"/students/{student}/enroll", {"course_ids": [course]})
        assert (answer.status, answer.json["kept"]) == (200, [course])
        if finish == "tick":
            result = app.test_cli_runner().invoke(args=["tick"])
            assert (result.exit_code, fire.roster(course)) == (0, [])
        answer, _ = fire.act(course, "cancel", headers, reason="No teacher")
        assert answer.status == 200, answer.body
        assert told(answer) == written(app, "once")
        assert len(told(answer)) == (30 if finish != "tick" else 0)
        again, _ = fire.act(course, "cancel", headers, reason="No teacher")
        assert (again.json, again.headers["Idempotent-Replayed"]) == (answer.json, "true")
        assert fire.roster(course) == []
    audit(app)


def code(answer):
    return answer.json["type"].rpartition("/")[2]


def attempt(fire, course, headers):
    """The response of a cancellation; None if the connection broke off."""
    try:
        return fire.act(course, "cancel", headers, reason="No teacher")[0]
    except (OSError, http.client.HTTPException):
        return None


def told(answer):
    """The students that a cancellation put out."""
    return sorted([*answer.json["removed"], *answer.json["waitlisted"]])


def written(app, request_id):
    """The students of whose cancellation the history tells, by the id of the request."""
    found = sa.select(EnrollmentEvent.student_id).where(
        EnrollmentEvent.request_id == request_id, EnrollmentEvent.why == Why.CANCELLED
    )
    with app.app_context(), transaction(writing=False) as session:
        return sorted(session.scalars(found))
