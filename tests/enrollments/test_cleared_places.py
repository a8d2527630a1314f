"""Blocked places that break no rule any more, although no fact about their student was edited."""

from __future__ import annotations

import pytest

from tests.enrollments.places import MONDAY, close_adds, course, drop, full, hold, state, tick

__all__ = ["course", "full", "hold", "state", "tick"]
pytestmark = pytest.mark.usefixtures("audited")


def test_who_chooses_fewer_credits_is_cleared(client, make, ask, course, full, state, tick):
    client.patch("/terms/2026-FA", json={"max_credits": 6})
    held = course(capacity=None, credits_min=1, credits_max=4)
    one, seated = full(waiting=0, credits_min=2)
    student = make.student()["id"]
    path = f"/students/{student}/courses"
    assert client.post(path, json={"course_id": held, "credits": 4}).status_code == 201
    assert ask(student, [one], waitlist=True).status_code == 201
    client.patch("/terms/2026-FA", json={"max_credits": 5})
    tick()
    assert state(student, one) == "blocked"
    assert client.post(path, json={"course_id": held, "credits": 3}).status_code == 200
    tick()
    assert state(student, one) == "waitlisted"
    drop(client, seated, one)
    assert state(student, one) == "enrolled"


@pytest.fixture
def lab(client, course):
    """Makes courses of the entry LAB, which is a corequisite of the entry LECTURE."""
    entry = {"title": "x", "credits_min": 1}
    client.post("/catalog", json=entry | {"code": "LAB"})
    needs = {"prerequisites": {"course": "LAB", "concurrent": True}}
    client.post("/catalog", json=entry | needs | {"code": "LECTURE"})
    return lambda **fields: course(catalog_code="LAB", **fields)


def test_who_is_promoted_in_the_missing_corequisite_is_cleared(
    client, make, ask, course, lab, state, tick
):
    """Fails if the promotion queues nobody: it does not know the other places of the student."""
    first, second, lecture = lab(capacity=None), lab(), course(catalog_code="LECTURE")
    student, other, another = (make.student()["id"] for _ in range(3))
    assert ask(another, [first, lecture]).status_code == 201
    assert ask(other, [second]).status_code == 201
    assert ask(student, [first]).status_code == 201
    assert ask(student, [lecture], waitlist=True).status_code == 201
    client.post(f"/courses/{first}/cancel", json={})
    assert ask(student, [second], waitlist=True).status_code == 201
    tick()
    assert state(student, lecture) == "blocked"
    drop(client, other, second)
    assert state(student, second) == "enrolled"
    tick()
    assert state(student, lecture) == "waitlisted"
    drop(client, another, lecture)
    assert state(student, lecture) == "enrolled"


@pytest.mark.parametrize("way", ["tick", "drop", "resize"])
def test_who_loses_the_place_that_clashes_is_cleared(
    client, app, make, ask, part, full, state, tick, way
):
    """The waitlist of a part of the term ends, and with it the place that blocked another one."""
    client.patch(f"/terms/{part['code']}", json={"add_until": "2099-01-01T00:00:00"})
    ends, hog = full(waiting=0, term=part["code"])
    stays, seated = full(waiting=0, meetings=[MONDAY])
    student = make.student()["id"]
    assert ask(student, [ends], waitlist=True).status_code == 201
    assert ask(student, [stays], waitlist=True).status_code == 201
    client.patch(f"/courses/{ends}", json={"meetings": [MONDAY]})
    tick()
    assert (state(student, ends), state(student, stays)) == ("blocked", "blocked")
    close_adds(app, part["code"])
    if way == "drop":
        drop(client, hog, ends)
    elif way == "resize":
        client.patch(f"/courses/{ends}", json={"capacity": 5})
    tick()
    assert (state(student, ends), state(student, stays)) == (None, "waitlisted")
    drop(client, seated, stays)
    assert state(student, stays) == "enrolled"


def test_a_course_that_loses_its_capacity_and_its_term_keeps_right_counts(
    client, full, hold, state, tick
):
    """Fails if the counts of a course with neither are not compared: they then say that somebody
    waits for a course for which nobody does.
    """
    one, _, first, second = full(2)
    hold(first)
    hold(second)
    assert client.patch(f"/courses/{one}", json={"capacity": None}).status_code == 200
    assert client.patch(f"/courses/{one}", json={"term": None}).status_code == 200
    assert (state(first, one), state(second, one)) == ("blocked", "blocked")
    drop(client, second, one)
    assert client.get(f"/courses/{one}").json["waitlisted"] == 1
    tick()
    assert state(first, one) == "enrolled"
    assert client.get(f"/courses/{one}").json["waitlisted"] == 0
    assert client.patch(f"/courses/{one}", json={"capacity": 2}).json["seats_taken"] == 2
