from __future__ import annotations

import pytest

from tests.databases import audit


@pytest.fixture
def ask(client):
    """Enroll: `ask(student, courses)`, or `ask(student, courses, waitlist=True)`."""

    def go(student, courses, **more):
        return client.post(f"/students/{student}/enroll", json={"course_ids": courses, **more})

    return go


@pytest.fixture
def waitlist_of(client):
    """The ids of the students on the waitlist of a course, in the order of their positions."""

    def go(course):
        waiting = client.get(f"/courses/{course}/students?state=waitlisted").json
        ranked = sorted(waiting, key=lambda s: s["position"])
        assert [s["position"] for s in ranked] == list(range(1, len(ranked) + 1))
        return [s["id"] for s in ranked]

    return go


@pytest.fixture
def audited(app):
    """After each test, the audit finds no violation."""
    yield
    audit(app)
