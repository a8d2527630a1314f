"""Undoing mistaken drops."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from course_management.db.transaction import transaction
from course_management.history.recorder import events
from tests.web.problems import problem

pytestmark = pytest.mark.usefixtures("audited")


@pytest.fixture
def ids(make):
    return [make.student()["id"] for _ in range(6)]


def leave(client, student, course):
    assert client.delete(f"/students/{student}/courses/{course}").status_code == 204


def since(client, student, course):
    return client.get(f"/students/{student}/courses/{course}").json["enrolled_at"]


def test_a_seat_comes_back_although_somebody_was_promoted(
    client, act, ids, course_with, state, moves
):
    course = course_with(2, 5, ids[:4])
    began = since(client, ids[0], course)
    leave(client, ids[0], course)
    assert state(course) == ({ids[1], ids[2]}, [ids[3]])
    response = act(course, "reinstate", student_ids=[ids[0]], reason="Wrong button")
    assert (response.status_code, response.json) == (
        200,
        {
            "course_id": course,
            "added": [ids[0]],
            "kept": [],
            "waitlisted": [],
            "capacity": 3,
            "waitlist_capacity": 5,
        },
    )
    assert state(course) == ({*ids[:3]}, [ids[3]])
    assert since(client, ids[0], course) == began
    assert client.get(f"/courses/{course}").json["version"] == 2
    assert moves(course)[0] == (ids[0], None, "enrolled", "reinstated")
    assert client.get(f"/courses/{course}/history").json[0]["reason"] == "Wrong button"


def test_a_free_seat_needs_no_larger_capacity(client, act, ids, course_with, state):
    course = course_with(2, 0, ids[:2])
    act(course, "drop", student_ids=ids[:2])
    assert act(course, "reinstate", student_ids=ids[:2]).json["capacity"] == 2
    assert state(course) == ({*ids[:2]}, [])


def test_a_position_comes_back_with_its_ticket(client, act, ids, course_with, state, waitlist_of):
    course = course_with(1, 3, ids[:4])
    leave(client, ids[2], course)
    client.post(f"/students/{ids[4]}/enroll", json={"course_ids": [course], "waitlist": True})
    response = act(course, "reinstate", student_ids=[ids[2]])
    assert (response.json["waitlisted"], response.json["waitlist_capacity"]) == ([ids[2]], 4)
    assert waitlist_of(course) == [ids[1], ids[2], ids[3], ids[4]]
    leave(client, ids[0], course)
    leave(client, ids[1], course)
    assert state(course) == ({ids[2]}, [ids[3], ids[4]])


def test_a_position_comes_back_before_a_student_who_was_promoted(
    client, act, ids, course_with, waitlist_of
):
    course = course_with(1, 5, ids[:4])
    leave(client, ids[1], course)
    leave(client, ids[0], course)  # promotes the one behind
    assert act(course, "reinstate", student_ids=[ids[1]]).json["waitlisted"] == [ids[1]]
    assert waitlist_of(course) == [ids[1], ids[3]]


def test_a_position_beside_a_free_seat_becomes_a_seat(client, act, ids, course_with, state):
    course = course_with(1, 5, ids[:2])
    leave(client, ids[1], course)
    leave(client, ids[0], course)
    assert act(course, "reinstate", student_ids=[ids[1]]).json["added"] == [ids[1]]
    assert state(course) == ({ids[1]}, [])


def test_who_is_in_is_kept_and_many_come_back_at_once(client, act, ids, course_with, state):
    course = course_with(2, 5, ids[:4])
    act(course, "drop", student_ids=[ids[0], ids[3]])
    response = act(course, "reinstate", student_ids=ids[:4])
    assert response.status_code == 200, response.text
    assert {name: response.json[name] for name in ("added", "kept", "waitlisted")} == {
        "added": [ids[0]],
        "kept": [ids[1], ids[2]],
        "waitlisted": [ids[3]],
    }
    assert state(course) == ({*ids[:3]}, [ids[3]])


def test_everybody_without_a_drop_is_named_and_nothing_changes(
    client, act, ids, course_with, state
):
    course, other = course_with(2, 5, ids[:3]), course_with(None, 0, [])
    leave(client, ids[0], course)
    act(course, "move", to=other, student_ids=[ids[1]])
    refused = act(course, "reinstate", student_ids=[ids[0], ids[1], ids[2], ids[5]])
    assert problem(refused) == (409, "nothing-to-reinstate")
    assert refused.json["student_ids"] == [ids[1], ids[5]]
    assert state(course) == ({ids[2]}, [])
    missing = act(course, "reinstate", student_ids=[ids[0], 888888])
    assert (problem(missing), missing.json["missing"]) == ((404, "student-not-found"), [888888])
    assert problem(act(999999, "reinstate", student_ids=ids[:1])) == (404, "course-not-found")


@pytest.mark.parametrize("status", ["closed", "cancelled"])
def test_a_closed_course_takes_them_and_a_cancelled_one_does_not(
    client, act, ids, course_with, state, status
):
    course = course_with(2, 5, ids[:1])
    leave(client, ids[0], course)
    if status == "closed":
        client.patch(f"/courses/{course}", json={"status": "closed"})
        assert act(course, "reinstate", student_ids=ids[:1]).status_code == 200
        assert state(course) == ({ids[0]}, [])
    else:
        act(course, "cancel")
        refused = act(course, "reinstate", student_ids=ids[:1])
        assert problem(refused) == (409, "course-cancelled")
        assert refused.json["errors"][0]["pointer"] == "/student_ids/0"


def test_a_reinstated_student_drops_and_comes_back_again(client, act, ids, course_with, state):
    course = course_with(1, 0, ids[:1])
    began = since(client, ids[0], course)
    for _ in range(2):
        leave(client, ids[0], course)
        assert act(course, "reinstate", student_ids=ids[:1]).status_code == 200
    assert since(client, ids[0], course) == began
    assert act(course, "reinstate", student_ids=ids[:1]).json["kept"] == ids[:1]


def test_drops_of_an_older_release_come_back_at_the_end(
    app, client, act, ids, course_with, waitlist_of, state
):
    """Its events have neither a ticket nor the time of the seat."""
    course = course_with(1, 5, ids[:4])
    act(course, "drop", student_ids=[ids[0], ids[2]])
    with app.app_context(), transaction(writing=True) as session:
        session.execute(sa.update(events).values(ticket=None, data=None))
    response = act(course, "reinstate", student_ids=[ids[0], ids[2]])
    assert response.status_code == 200, response.text
    assert state(course) == ({ids[0], ids[1]}, [ids[3], ids[2]])
