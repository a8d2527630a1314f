"""An enrollment locks its own students and courses, and no others (PostgreSQL). The precheck reads
courses only if it has to.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from devtools.waiting import eventually
from tests.conftest import Make
from tests.databases import connect, waiting_for_locks


def test_an_enrollment_waits_for_no_other_student_or_course(postgres_app):
    """Fails if a lock covers all rows: the request then waits, and ends with 503."""
    client = postgres_app.test_client()
    make = Make(client)
    own, other = (make.student()["id"] for _ in range(2))
    capped, unlimited, *others = (
        make.course(capacity=capacity)["id"] for capacity in (1, None, 1, None)
    )
    with closing(connect(postgres_app)) as another:
        cursor = another.cursor()
        cursor.execute("SELECT 1 FROM students WHERE id = %s FOR UPDATE", [other])
        cursor.execute("SELECT 1 FROM courses WHERE id = ANY(%s) FOR UPDATE", [others])
        answer = client.post(f"/students/{own}/enroll", json={"course_ids": [capped, unlimited]})
        assert answer.status_code == 201, answer.text
        assert answer.json["added"] == [capped, unlimited]


@pytest.mark.parametrize("capacity", [1, None])
@pytest.mark.parametrize(
    ("path", "name", "of"),
    [
        ("/students/{student}/enroll", "course_ids", "course"),
        ("/courses/{course}/students", "student_ids", "student"),
    ],
)
def test_an_enrollment_waits_for_its_student(postgres_app, capacity, path, name, of):
    """Fails if a request does not lock its students: then it does not wait."""
    client = postgres_app.test_client()
    make = Make(client)
    ids = {"student": make.student()["id"], "course": make.course(capacity=capacity)["id"]}
    with closing(connect(postgres_app)) as another, ThreadPoolExecutor() as pool:
        cursor = another.cursor()
        cursor.execute("SELECT 1 FROM students WHERE id = %s FOR NO KEY UPDATE", [ids["student"]])
        asking = pool.submit(
            postgres_app.test_client().post, path.format(**ids), json={name: [ids[of]]}
        )
        eventually(lambda: waiting_for_locks(postgres_app), 1)
        another.rollback()
        assert asking.result().status_code == 201


@pytest.mark.fast_parts  # otherwise the pool may give the next request another connection
def test_the_precheck_reads_a_course_without_a_capacity_once(client, make, statements):
    course, counts = make.course()["id"], []
    for student in [make.student()["id"] for _ in range(3)]:
        with statements() as sent:
            answer = client.post(f"/students/{student}/enroll", json={"course_ids": [course]})
        assert answer.status_code == 201
        counts.append(len(sent))
    assert counts[1:] == [counts[0] - 1] * 2
