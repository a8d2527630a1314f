"""What tests of waitlist places under rules share: full courses of a term, holds and `tick`."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from course_management.db.transaction import transaction
from course_management.terms.models import Term

MONDAY = {"days": ["mon"], "starts": "09:00", "ends": "10:00"}
HOLD = {"code": "fees", "detail": "Fees are due.", "blocks": ["add"]}


@pytest.fixture
def course(client, make, term):
    """Makes courses of a term whose registration is open. By default, they have one seat."""
    window = {"opens_at": "1900-01-01T00:00:00Z", "closes_at": "2199-01-01T00:00:00Z"}
    client.put(f"/terms/{term['code']}/windows", json={"windows": [window]})

    def some(**fields):
        body = {"term": term["code"], "capacity": 1, "waitlist_capacity": None}
        return make.course(**body | fields)["id"]

    return some


@pytest.fixture
def full(make, ask, course):
    """Makes full courses. Returns the course, the student with the seat, and those who wait."""

    def some(waiting=1, **fields):
        one, students = course(**fields), make.students(waiting + 1)
        for student in students:
            assert ask(student, [one], waitlist=True).status_code == 201
        return one, students[0], *students[1:]

    return some


@pytest.fixture
def hold(client):
    """Places a hold; returns its address."""

    def place(student, **more):
        answer = client.post(f"/students/{student}/holds", json=HOLD | more)
        assert answer.status_code == 201, answer.text
        return f"/students/{student}/holds/{answer.json['id']}"

    return place


@pytest.fixture
def tick(app):
    """Runs `flask tick`; returns its output."""

    def run():
        result = app.test_cli_runner().invoke(args=["tick"])
        assert result.exit_code == 0, result.output
        return result.output

    return run


@pytest.fixture
def state(client):
    """The state of a student in a course: enrolled, waitlisted, blocked or None."""

    def find(student, one):
        answer = client.get(f"/students/{student}/courses/{one}")
        if answer.status_code == 404:
            return None
        return "blocked" if answer.json.get("blocked") else answer.json["state"]

    return find


def drop(client, student, one):
    assert client.delete(f"/students/{student}/courses/{one}").status_code == 204


def counts(client, one):
    shown = client.get(f"/courses/{one}").json
    return shown["seats_taken"], shown["waitlisted"], shown["waitlist_blocked"]


def close_adds(app, code="2026-FA"):
    """Let `add_until` of a term be now."""
    with app.app_context(), transaction(writing=True) as session:
        closed = sa.update(Term).where(Term.code == code).values(add_until=datetime.now(UTC))
        session.execute(closed)
