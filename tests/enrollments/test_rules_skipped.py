"""Requests with `rules=skip`, and acts that no rule judges."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from course_management.db.transaction import transaction
from course_management.history.recorder import events
from tests.enrollments.registering import enroll, moment, offer, student
from tests.web.problems import problem

__all__ = ["offer", "student"]


@pytest.fixture
def late(client, term):
    """Drops of the term are withdrawals from now on; call it with a hold to block them too."""

    def go(student):
        hold = {"code": "library", "detail": "Books are missing.", "blocks": ["drop"]}
        client.post(f"/students/{student}/holds", json=hold)
        deadlines = {"add_until": moment(days=-3), "drop_until": moment(days=-2)}
        later = {"withdraw_until": moment(days=1)}
        client.patch(f"/terms/{term['code']}", json=deadlines | later)

    return go


DROPS = {
    "one": lambda client, student, course, **body: client.delete(
        f"/students/{student}/courses/{course}?rules=skip", json=body
    ),
    "roster": lambda client, student, course, **body: client.post(
        f"/courses/{course}/drop?rules=skip", json={"student_ids": [student]} | body
    ),
    "changes": lambda client, student, course, **body: client.post(
        f"/students/{student}/changes?rules=skip", json={"drop": [course]} | body
    ),
}


@pytest.mark.parametrize("drop", DROPS.values(), ids=DROPS)
def test_a_system_of_record_states_plain_drops(client, offer, student, late, drop):
    """Neither a hold nor a deadline counts, and no withdrawal is written."""
    course = offer("CS 225")
    assert enroll(client, student, course).status_code == 201
    late(student)
    without = drop(client, student, course)
    assert (problem(without), without.json["errors"][0]["pointer"]) == ((422, "invalid"), "/reason")
    assert drop(client, student, course, reason="From the old system").status_code in (200, 204)
    assert client.get(f"/students/{student}/enroll").json["course_ids"] == []
    assert client.get(f"/students/{student}/completions").json == []


def test_a_drop_without_a_body_does_not_skip_the_rules(client, offer, student):
    course = offer()
    assert enroll(client, student, course).status_code == 201
    answer = client.delete(f"/students/{student}/courses/{course}?rules=skip")
    assert (problem(answer), answer.json["errors"][0]["pointer"]) == ((422, "invalid"), "/reason")


@pytest.mark.parametrize("drop", DROPS.values(), ids=DROPS)
def test_only_a_registrar_drops_without_the_rules(
    client, guarded, new_key, offer, student, late, drop
):
    course = offer("CS 225")
    assert enroll(client, student, course).status_code == 201
    late(student)
    scopes = (["enrollments:write"], ["enrollments:write", "registrar"])
    tokens = [new_key(*some, name=f"Key {len(some)}") for some in scopes]
    asking = guarded.test_client()
    statuses = []
    for token in tokens:
        asking.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
        statuses.append(drop(asking, student, course, reason="x").status_code)
    assert statuses in ([403, 200], [403, 204])


def test_the_record_says_which_requests_skipped_the_rules(app, client, offer, student, make):
    """Neither other events of the request, such as promotions, nor other requests say so."""
    course, waiting = offer("CS 225", capacity=1, waitlist_capacity=1), make.student()["id"]
    body = {"course_ids": [course], "reason": "From the old system"}
    assert client.post(f"/students/{student}/enroll?rules=skip", json=body).status_code == 201
    assert enroll(client, waiting, course, waitlist=True).status_code == 201
    assert DROPS["one"](client, student, course, reason="Same").status_code == 204
    with app.app_context(), transaction(writing=False) as session:
        wanted = sa.select(events).where(events.c.type == "enrollment.changed")
        rows = session.execute(wanted.order_by(events.c.id)).all()
    shown = [(row.student_id, row.why, (row.data or {}).get("rules")) for row in rows]
    assert shown == [
        (student, "requested", "skipped"),
        (waiting, "requested", None),
        (student, "dropped", "skipped"),
        (waiting, "promoted", None),
    ]
    assert [(row.data or {}).get("credits") for row in rows] == [3, 3, 3, None]
    history = client.get(f"/students/{student}/history").json
    assert [one.get("rules") for one in history] == ["skipped", "skipped"]
    assert "rules" not in client.get(f"/students/{waiting}/history").json[0]


def test_a_drop_hold_never_keeps_a_student_on_a_waitlist(client, offer, student, late):
    course = offer("CS 225", capacity=0, waitlist_capacity=1)
    assert enroll(client, student, course, waitlist=True).status_code == 201
    late(student)
    assert client.delete(f"/students/{student}/courses/{course}").status_code == 204
    assert client.get(f"/students/{student}/completions").json == []


def test_only_drops_are_withdrawals(client, offer, student, make, late):
    """Neither a move nor a cancellation nor a deletion writes a completion."""
    first, second, third = offer("A 1"), offer("B 1"), offer("C 1")
    assert enroll(client, student, first, third).status_code == 201
    late(student)
    body = {"to": second, "all": True}
    assert client.post(f"/courses/{first}/move", json=body).status_code == 200
    for course in (second, third):
        assert client.post(f"/courses/{course}/cancel").status_code == 200
    assert client.get(f"/students/{student}/completions").json == []


def test_skipping_the_rules_does_not_open_a_closed_course(client, offer, student):
    course = offer()
    client.patch(f"/courses/{course}", json={"status": "closed"})
    path, body = f"/students/{student}/enroll?rules=skip", {"course_ids": [course], "reason": "x"}
    assert problem(client.post(path, json=body)) == (409, "course-closed")
