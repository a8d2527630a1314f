"""Locks of an enrollment: they cover its own students and courses, and no others (PostgreSQL)."""

from __future__ import annotations

from contextlib import closing

from tests.conftest import Make
from tests.databases import connect


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
