"""Fixtures of the tests of the registrar's acts."""

from __future__ import annotations

import pytest

from tests.enrollments.conftest import audited, waitlist_of

__all__ = ["audited", "waitlist_of"]


@pytest.fixture
def state(client):
    """`state(course)`: the ids of its students with a seat, and of those who wait, in order."""

    def go(course):
        roster = client.get(f"/courses/{course}/students").json
        seated = {one["id"] for one in roster if one["state"] == "enrolled"}
        waiting = sorted(
            (one["position"], one["id"]) for one in roster if one["state"] == "waitlisted"
        )
        return seated, [student for _, student in waiting]

    return go


@pytest.fixture
def course_with(client, make):
    """A course with so many seats and waitlist positions, and its students in their order:
    `course_with(capacity, waitlist_capacity, students)`.
    """

    def go(capacity, waitlist_capacity, students, **fields):
        course = make.course(capacity=capacity, waitlist_capacity=waitlist_capacity, **fields)["id"]
        for student in students:
            body = {"course_ids": [course], "waitlist": True}
            assert client.post(f"/students/{student}/enroll", json=body).status_code == 201
        return course

    return go


@pytest.fixture
def act(client):
    """`act(course, "move", to=8, all=True)`: the response of an act."""

    def go(course, name, query="", headers=None, **body):
        path = f"/courses/{course}/{name}{query}"
        return client.post(path, json=body, headers=headers or {})

    return go


@pytest.fixture
def moves(client):
    """The last events of a course as (student, from, to, why), newest first."""

    def go(course):
        events = client.get(f"/courses/{course}/history").json
        return [(one["student_id"], one["from"], one["to"], one["why"]) for one in events]

    return go
