"""Overrides: which rules they lift, and which of their uses are on record."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from course_management.db.transaction import transaction
from course_management.history.recorder import events
from tests.enrollments.registering import broken, enroll, offer, open_window, student
from tests.enrollments.test_rules_of_sets import replace
from tests.web.problems import problem

__all__ = ["offer", "student"]


def test_an_override_lifts_one_rule(client, offer, student):
    course = offer(consent="department", open_to={"group": "program:cs"})
    body = {"rule": "consent-required", "course_id": course, "reason": "Asked and granted"}
    client.post(f"/students/{student}/overrides", json=body)
    assert broken(enroll(client, student, course)) == [("restricted", course)]
    client.post(f"/students/{student}/overrides", json=body | {"rule": "restricted"})
    assert enroll(client, student, course).status_code == 201


def test_overrides_of_seats_and_status(client, offer, student, make):
    """The course grows by the seat, which is an edit of it. One override lifts one refusal."""
    course = offer(capacity=1, waitlist_capacity=0)
    assert enroll(client, make.student()["id"], course).status_code == 201
    client.patch(f"/courses/{course}", json={"status": "closed"})
    path = f"/students/{student}/overrides"
    body = {"course_id": course, "reason": "The dean agreed"}
    made = client.post(path, json=body | {"rule": "course-closed"}).json
    refused = enroll(client, student, course)
    assert problem(refused) == (409, "course-full")
    assert [one["code"] for one in refused.json["errors"]] == ["course-full"]
    (asked,) = client.get(f"/students/{student}/eligibility?course={course}").json
    assert [one["rule"] for one in asked["broken"]] == ["course-full"]
    client.post(f"{path}/{made['id']}/revoke")
    client.post(path, json=body | {"rule": "course-full"})
    refused = enroll(client, student, course)
    assert problem(refused) == (409, "course-closed")
    assert [one["code"] for one in refused.json["errors"]] == ["course-closed"]
    client.post(path, json=body | {"rule": "course-closed"})
    (asked,) = client.get(f"/students/{student}/eligibility?course={course}").json
    assert asked["eligible"]
    assert enroll(client, student, course).status_code == 201
    after = client.get(f"/courses/{course}").json
    assert (after["capacity"], after["seats_taken"], after["version"]) == (2, 2, 3)
    assert problem(enroll(client, make.student()["id"], course)) == (409, "course-closed")


def test_an_override_of_a_full_waitlist(client, offer, student, make):
    course = offer(capacity=0, waitlist_capacity=0)
    assert problem(enroll(client, student, course, waitlist=True)) == (409, "waitlist-full")
    body = {"rule": "waitlist-full", "course_id": course, "reason": "The dean agreed"}
    client.post(f"/students/{student}/overrides", json=body)
    assert enroll(client, student, course, waitlist=True).json["waitlisted"] == [course]
    after = client.get(f"/courses/{course}").json
    assert (after["waitlist_capacity"], after["waitlisted"]) == (1, 1)


def test_a_replacement_lists_every_rule_and_uses_overrides(client, term, offer, student):
    course = offer(capacity=0)
    client.put(f"/terms/{term['code']}/windows", json={"windows": []})
    rules = [("registration-not-open", course), ("course-full", course)]
    assert broken(replace(client, student, course)) == rules
    open_window(client, term)
    body = {"rule": "course-full", "course_id": course, "reason": "The dean agreed"}
    client.post(f"/students/{student}/overrides", json=body)
    assert replace(client, student, course).json["added"] == [course]


def test_an_override_of_the_repeat_limit_has_a_value(client, offer, student):
    course = offer("CS 225", {"max_attempts": 1})
    for term in ("2024-FA", "2025-FA"):
        done = {"catalog_code": "CS 225", "kind": "course", "grade": "F", "term": term}
        client.post(f"/students/{student}/completions", json=done)
    body = {"rule": "repeat-limit", "catalog_code": "CS 225", "reason": "Illness"}
    path = f"/students/{student}/overrides"
    assert client.post(path, json=body | {"value": 2}).status_code == 201
    assert broken(enroll(client, student, course)) == [("repeat-limit", course)]
    assert client.post(path, json=body | {"value": 3}).status_code == 201
    assert enroll(client, student, course).status_code == 201


def test_the_record_has_each_use_of_an_override_and_each_choice_of_credits(
    app, client, term, offer, student
):
    client.patch(f"/terms/{term['code']}", json={"max_credits": 1})
    course = offer(credits_min=1, credits_max=4)
    override = {"rule": "credits-exceeded", "term": term["code"], "value": 4, "reason": "Good"}
    made = client.post(f"/students/{student}/overrides", json=override).json
    path = f"/students/{student}/courses"
    assert client.post(path, json={"course_id": course}).status_code == 201
    assert client.post(path, json={"course_id": course, "credits": 2.5}).status_code == 200
    with app.app_context(), transaction(writing=False) as session:
        rows = session.execute(sa.select(events).order_by(events.c.id)).all()
    used = [row.data for row in rows if row.type == "override.used"]
    assert used == [{"override_id": made["id"], "rule": "credits-exceeded"}]
    chosen = [row.data["credits"] for row in rows if row.type == "enrollment.changed"]
    assert chosen == [1, 2.5]


@pytest.mark.parametrize(
    ("fields", "lifts"),
    [
        ({"capacity": 0, "waitlist_capacity": 0}, "course-full"),
        ({"capacity": 5, "status": "closed"}, "course-closed"),
        ({"capacity": 5}, None),
    ],
)
def test_an_override_that_was_not_needed_is_not_used(app, client, offer, student, fields, lifts):
    course = offer(**fields)
    path, body = f"/students/{student}/overrides", {"course_id": course, "reason": "Agreed"}
    for rule in ("course-full", "waitlist-full", "course-closed"):
        assert client.post(path, json=body | {"rule": rule}).status_code == 201
    assert enroll(client, student, course, waitlist=True).json["added"] == [course]
    with app.app_context(), transaction(writing=False) as session:
        used = session.scalars(sa.select(events.c.data).where(events.c.type == "override.used"))
        assert [one["rule"] for one in used] == ([lifts] if lifts else [])
