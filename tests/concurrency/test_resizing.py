"""An edit of a course waits for the enrollments before it. It does not wait for later ones, even if
they overlap without a pause.
"""

from __future__ import annotations

import http.client
import threading
from itertools import count
from statistics import median

import pytest
from flask_migrate import upgrade

from devtools.gunicorn import Gunicorn, send
from tests.databases import audit

ROUNDS = 4


@pytest.fixture(scope="module")
def served(new_database, make_app, tmp_path_factory):
    """The app on a PostgreSQL of its own, and the service on it with one database connection for
    each client.
    """
    url = new_database("postgresql")
    app = make_app(url)
    with app.app_context():
        upgrade()
    with Gunicorn(
        {"DATABASE_URL": url, "WEB_CONCURRENCY": "3", "THREADS": "11"},
        log=tmp_path_factory.mktemp("gunicorn") / "log",
    ) as server:
        yield app, server


@pytest.mark.parametrize("clients", [8, 32])
def test_a_course_is_resized_while_students_enroll_without_a_pause(served, clients):
    """Fails without the gate: thousands of requests overtake each edit, or it ends with 503."""
    app, server = served
    client = app.test_client()
    # the more courses a request has, the longer it holds each: they overlap
    names = (f"{clients} {i}" for i in range(30))
    course, *others = (
        client.post("/courses", json={"name": name, "level": "x"}).json["id"] for name in names
    )
    students = [client.post("/students", json={"name": "S"}).json["id"] for _ in range(clients)]
    answered, over, failed = count(), threading.Event(), []

    def enroll_and_drop(student):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        while not over.is_set():
            for courses in ([course, *others], []):
                answer = send(
                    connection, "PUT", f"/students/{student}/enroll", {"course_ids": courses}
                )
                if answer.status != 200:
                    failed.append(answer.body)
                next(answered)
        connection.close()

    threads = [threading.Thread(target=enroll_and_drop, args=(student,)) for student in students]
    for thread in threads:
        thread.start()
    edits = []
    try:
        for capacity in (1000, None) * ROUNDS:
            begin = next(answered)
            answer = server.request("PATCH", f"/courses/{course}", {"capacity": capacity})
            edits.append((answer.status, next(answered) - begin))
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert failed == []
    assert {status for status, _ in edits} == {200}, edits
    # The median: an edit may also wait for a processor before it reaches the database.
    assert median(overtaken for _, overtaken in edits) <= 5 * clients, str(edits)
    audit(app)
