"""Moving students from one course to another."""

from __future__ import annotations

import pytest

from tests.web.problems import problem

pytestmark = pytest.mark.usefixtures("audited")


@pytest.fixture
def ids(make):
    return [make.student()["id"] for _ in range(8)]


def since(client, student, course):
    return client.get(f"/students/{student}/courses/{course}").json["enrolled_at"]


def test_everybody_moves_in_their_order(client, act, ids, course_with, state, moves):
    one = course_with(2, None, ids[:4])
    other = course_with(3, 5, ids[4:5])
    began = [since(client, student, one) for student in ids[:2]]
    response = act(one, "move", to=other, all=True, reason="Sections merged")
    assert (response.status_code, response.json) == (
        200,
        {
            "course_id": one,
            "to": other,
            "added": ids[:2],
            "kept": [],
            "waitlisted": ids[2:4],
            "capacity": 3,
            "waitlist_capacity": 5,
        },
    )
    assert state(one) == (set(), [])
    assert state(other) == ({*ids[:2], ids[4]}, ids[2:4])
    assert [since(client, student, other) for student in ids[:2]] == began
    assert {(student, *rest) for student, *rest in moves(one)[:4]} == {
        *((student, "enrolled", None, "moved") for student in ids[:2]),
        *((student, "waitlisted", None, "moved") for student in ids[2:4]),
    }
    history = client.get(f"/students/{ids[0]}/history").json
    assert [(e["course_id"], e["to"], e["reason"]) for e in history[:2]] == [
        (other, "enrolled", "Sections merged"),
        (one, None, "Sections merged"),
    ]


def test_some_move_and_the_next_of_the_waitlist_get_their_seats(act, ids, course_with, state):
    one, other = course_with(2, None, ids[:4]), course_with(None, 0, [])
    response = act(one, "move", to=other, student_ids=[ids[3], ids[0]])
    assert response.json["added"] == [ids[0], ids[3]]  # a position beside a free seat is a seat
    assert state(one) == ({ids[1], ids[2]}, [])
    assert state(other) == ({ids[0], ids[3]}, [])


def test_positions_go_behind_the_waitlist_with_new_tickets(client, act, ids, course_with, state):
    one, other = course_with(0, None, ids[:2]), course_with(1, None, ids[2:5])
    assert act(one, "move", to=other, all=True).json["waitlisted"] == ids[:2]
    assert state(other) == ({ids[2]}, [*ids[3:5], *ids[:2]])
    assert act(one, "students", student_ids=[ids[6]], waitlist=True).status_code == 201
    assert state(one) == (set(), [ids[6]])


@pytest.mark.parametrize("extend", [False, True])
def test_capacities_hold_or_grow_by_what_is_missing(client, act, ids, course_with, state, extend):
    one, other = course_with(3, None, ids[:5]), course_with(2, 0, ids[5:6])
    response = act(one, "move", to=other, all=True, extend=extend)
    if not extend:
        assert problem(response) == (409, "course-full")
        (course,) = response.json["courses"]
        assert (course["id"], course["seats_free"], course["asked"]) == (other, 1, 5)
        assert [(one["code"], one["pointer"]) for one in response.json["errors"]] == [
            ("course-full", "/to"),
            ("waitlist-full", "/to"),
        ]
        assert state(one) == ({*ids[:3]}, ids[3:5])
        return
    assert response.status_code == 200, response.text
    assert (response.json["capacity"], response.json["waitlist_capacity"]) == (4, 2)
    assert state(other) == ({*ids[:3], ids[5]}, ids[3:5])
    shown = client.get(f"/courses/{other}").json
    assert (shown["capacity"], shown["seats_taken"], shown["version"]) == (4, 4, 2)
    assert (shown["waitlist_capacity"], shown["waitlisted"]) == (2, 2)


def test_a_full_waitlist_refuses_positions(act, ids, course_with, state):
    one, other = course_with(0, None, ids[:2]), course_with(1, 2, ids[2:4])
    response = act(one, "move", to=other, all=True)
    assert problem(response) == (409, "waitlist-full")
    assert state(one) == (set(), ids[:2])


@pytest.mark.parametrize("waiting", [False, True])
def test_who_is_in_both_keeps_the_better(act, ids, course_with, state, waiting):
    """The student has a seat in one course, and a seat or a position in the other."""
    one = course_with(1, None, ids[:1])
    other = course_with(1, None, [ids[1], ids[2], ids[0]] if waiting else [ids[0], ids[2]])
    response = act(one, "move", to=other, all=True, extend=True)
    assert response.status_code == 200, response.text
    assert response.json["added" if waiting else "kept"] == [ids[0]]
    assert state(other) == ({ids[1], ids[0]} if waiting else {ids[0]}, [ids[2]])
    assert response.json["capacity"] == (2 if waiting else 1)


def test_of_two_positions_that_of_the_other_course_stays(act, ids, course_with, state):
    one, other = course_with(0, None, [ids[0], ids[1]]), course_with(0, None, [ids[1], ids[2]])
    assert act(one, "move", to=other, all=True).json["kept"] == [ids[1]]
    assert state(other) == (set(), [ids[1], ids[2], ids[0]])


def test_a_seat_with_a_position_elsewhere_keeps_its_seat(act, ids, course_with, state):
    one, other = course_with(0, None, ids[:1]), course_with(1, None, ids[:1])
    assert act(one, "move", to=other, all=True).json["kept"] == [ids[0]]
    assert (state(one), state(other)) == ((set(), []), ({ids[0]}, []))


@pytest.mark.parametrize("status", ["closed", "cancelled"])
def test_a_course_that_is_not_open_takes_nobody(client, act, ids, course_with, state, status):
    one, other = course_with(2, 0, ids[:2]), course_with(2, 0, [])
    if status == "closed":
        client.patch(f"/courses/{other}", json={"status": status})
    else:
        act(other, "cancel")
    assert problem(act(one, "move", to=other, all=True)) == (409, f"course-{status}")
    assert state(one) == ({*ids[:2]}, [])
    assert problem(act(one, "move", to=other, all=True, extend=True)) == (409, f"course-{status}")


def test_from_a_closed_course(client, act, ids, course_with, state):
    one, other = course_with(2, 0, ids[:2]), course_with(2, 0, [])
    client.patch(f"/courses/{one}", json={"status": "closed"})
    assert act(one, "move", to=other, all=True).status_code == 200
    assert state(other) == ({*ids[:2]}, [])


def test_an_empty_course_moves_nobody(act, course_with):
    one, other = course_with(2, 0, []), course_with(2, 0, [])
    response = act(one, "move", to=other, all=True)
    assert (response.status_code, response.json["added"]) == (200, [])


def test_bad_requests(client, act, ids, course_with, state):
    one, other = course_with(2, 0, ids[:1]), course_with(2, 0, [])
    for body in ({}, {"all": False}, {"all": True, "student_ids": [1]}):
        assert problem(act(one, "move", to=other, **body)) == (422, "invalid")
    assert problem(act(one, "move", all=True)) == (422, "invalid")
    same = act(one, "move", to=one, all=True)
    assert (problem(same), same.json["errors"][0]["pointer"]) == ((422, "invalid"), "/to")
    missing = act(one, "move", to=999999, all=True)
    assert (problem(missing), missing.json["missing"]) == ((404, "course-not-found"), [999999])
    assert problem(act(999999, "move", to=one, all=True)) == (404, "course-not-found")
    nobody = act(one, "move", to=other, student_ids=[ids[0], 888888])
    assert (problem(nobody), nobody.json["missing"]) == ((404, "student-not-found"), [888888])
    out = act(one, "move", to=other, student_ids=ids[:3])
    assert (problem(out), out.json["missing"]) == ((404, "enrollment-not-found"), ids[1:3])
    assert state(one) == ({ids[0]}, [])


def test_a_thousand_students_take_at_most_twelve_statements(client, make, act, statements):
    one, other = make.course(capacity=700, waitlist_capacity=None)["id"], make.course()["id"]
    tight = make.course(capacity=100, waitlist_capacity=0)["id"]
    body = make.students(1000)
    act(one, "students", student_ids=body, waitlist=True)
    with statements() as sent:
        assert len(act(one, "move", to=tight, all=True, extend=True).json["waitlisted"]) == 300
    assert len(sent) <= 12
    with statements() as sent:
        assert len(act(tight, "move", to=other, student_ids=body).json["added"]) == 1000
    assert len(sent) <= 12
    act(other, "drop", student_ids=body)
    with statements() as sent:
        assert len(act(other, "reinstate", student_ids=body).json["added"]) == 1000
    assert len(sent) <= 12
    with statements() as sent:
        assert len(act(other, "cancel").json["removed"]) == 1000
    assert len(sent) <= 12
