"""Cancelling a course, and what becomes of it afterwards."""

from __future__ import annotations

import pytest

from course_management.registrar import service
from tests.web.problems import problem

pytestmark = pytest.mark.usefixtures("audited")


@pytest.fixture
def four(make):
    return [make.student()["id"] for _ in range(4)]


@pytest.mark.parametrize("capacity", [None, 2])
def test_everybody_is_out_and_nobody_is_promoted(
    client, act, four, course_with, state, moves, capacity
):
    course = course_with(capacity, 5, four)
    seats = four[:capacity]
    response = act(course, "cancel", reason="Too few")
    assert (response.status_code, response.json) == (
        200,
        {
            "course_id": course,
            "status": "cancelled",
            "removed": seats,
            "waitlisted": four[len(seats) :],
        },
    )
    assert state(course) == (set(), [])
    assert {why for *_, to, why in moves(course) if to is None} == {"cancelled"}
    assert "promoted" not in {why for *_, why in moves(course)}
    assert client.get(f"/courses/{course}/history").json[0]["reason"] == "Too few"
    shown = client.get(f"/courses/{course}").json
    assert (shown["status"], shown["seats_taken"], shown["waitlisted"], shown["version"]) == (
        "cancelled",
        None if capacity is None else 0,
        0,
        2,
    )
    assert [one["course_name"] for one in client.get(f"/students/{four[0]}/history").json] == [
        shown["name"]
    ] * 2


def test_a_cancellation_needs_no_body(client, four, course_with, state):
    course = course_with(2, 5, four)
    assert client.post(f"/courses/{course}/cancel").status_code == 200
    assert state(course) == (set(), [])


def test_a_repeated_cancellation_changes_nothing(client, act, four, course_with):
    course = course_with(2, 5, four)
    act(course, "cancel")
    before = client.get(f"/courses/{course}").json
    again = act(course, "cancel")
    assert (again.status_code, again.json["removed"], again.json["waitlisted"]) == (200, [], [])
    assert client.get(f"/courses/{course}").json == before


def test_a_key_replays_the_first_response(act, four, course_with):
    course = course_with(2, 5, four)
    key = {"Idempotency-Key": "c1"}
    first = act(course, "cancel", headers=key)
    again = act(course, "cancel", headers=key)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json == first.json
    assert problem(act(course, "cancel", headers=key, reason="Other")) == (
        422,
        "idempotency-key-reused",
    )


def test_an_unknown_course_is_not_found_and_claims_no_key(client, act, make):
    key = {"Idempotency-Key": "c2"}
    assert problem(act(999999, "cancel", headers=key)) == (404, "course-not-found")
    made = client.post("/courses", json={"name": "Optics", "level": "x"}, headers=key)
    assert made.status_code == 201


class Interrupted(Exception):
    """The service ends."""


@pytest.fixture
def interrupted(monkeypatch, act):
    """`interrupted(course)` cancels it, and ends between the two transactions."""

    def go(course, **headers):
        def end(*_, **__):
            raise Interrupted

        with monkeypatch.context() as patched:
            patched.setattr(service, "cancel", end)
            assert act(course, "cancel", headers=headers, reason="First").status_code == 500

    return go


FINISH = {
    "repetition": lambda client, course: client.post(f"/courses/{course}/cancel", json={}),
    "edit": lambda client, course: client.patch(f"/courses/{course}", json={"level": "y"}),
    "opening": lambda client, course: client.patch(f"/courses/{course}", json={"status": "open"}),
    "deletion": lambda client, course: client.delete(f"/courses/{course}"),
}


@pytest.mark.parametrize("by", FINISH)
def test_an_interrupted_cancellation_is_finished(
    client, four, course_with, state, interrupted, moves, by
):
    course = course_with(2, 5, four)
    interrupted(course)
    assert state(course) == (set(four[:2]), four[2:])
    assert FINISH[by](client, course).status_code in (200, 204)
    gone = [one for one in moves(course) if one[2] is None]
    assert {(student, why) for student, *_, why in gone} == {(i, "cancelled") for i in four}
    if by == "opening":
        assert client.get(f"/courses/{course}").json["seats_taken"] == 0
        student = client.post(f"/students/{four[0]}/enroll", json={"course_ids": [course]})
        assert student.status_code == 201


def test_tick_finishes_an_interrupted_cancellation(
    client, migrated, four, course_with, state, interrupted
):
    course = course_with(2, 5, four)
    interrupted(course)
    result = migrated.test_cli_runner().invoke(args=["tick"])
    assert result.exit_code == 0
    assert result.output.startswith("Courses emptied: 1. Reasons cleared: 0. ")
    assert state(course) == (set(), [])
    again = migrated.test_cli_runner().invoke(args=["tick"])
    assert again.output.startswith("Courses emptied: 0. Reasons cleared: 0. ")


def test_a_repetition_with_the_key_does_what_is_left(act, four, course_with, interrupted):
    course = course_with(2, 5, four)
    interrupted(course, **{"Idempotency-Key": "c3"})
    key = {"Idempotency-Key": "c3"}
    again = act(course, "cancel", headers=key, reason="First")
    assert (again.status_code, again.json["removed"]) == (200, four[:2])
    assert "Idempotent-Replayed" not in again.headers
    third = act(course, "cancel", headers=key, reason="First")
    assert (third.json, third.headers["Idempotent-Replayed"]) == (again.json, "true")


def test_a_repetition_does_not_empty_a_course_that_was_opened_meanwhile(
    client, act, make, four, course_with, state, interrupted
):
    course = course_with(2, 5, four)
    interrupted(course, **{"Idempotency-Key": "c4"})
    client.patch(f"/courses/{course}", json={"status": "open"})
    new = make.student()["id"]
    client.post(f"/students/{new}/enroll", json={"course_ids": [course]})
    again = act(course, "cancel", headers={"Idempotency-Key": "c4"}, reason="First")
    assert (again.status_code, again.json["status"], again.json["removed"]) == (200, "open", [])
    assert state(course) == ({new}, [])


def test_a_cancelled_course_can_be_deleted(client, act, four, course_with):
    course = course_with(2, 5, four)
    act(course, "cancel")
    assert client.delete(f"/courses/{course}").status_code == 204


def test_a_student_may_leave_a_course_before_it_is_emptied(
    client, four, course_with, state, interrupted
):
    course = course_with(2, 5, four)
    interrupted(course)
    assert client.delete(f"/students/{four[0]}/courses/{course}").status_code == 204
    assert state(course) == ({four[1]}, four[2:])  # nobody is promoted
