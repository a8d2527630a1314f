"""Waitlist places under rules: blocked, cleared, passed over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from course_management.db.transaction import transaction
from course_management.enrollments.models import WaitlistRecheck
from course_management.records.holds.models import Hold
from tests.enrollments.places import (
    MONDAY,
    close_adds,
    counts,
    course,
    drop,
    full,
    hold,
    state,
    tick,
)
from tests.web.problems import problem

__all__ = ["course", "full", "hold", "state", "tick"]
pytestmark = pytest.mark.usefixtures("audited")


def test_a_hold_blocks_a_place_and_its_release_seats_the_student(client, full, hold, state):
    one, seated, first, second = full(2)
    address = hold(first)
    assert state(first, one) == "blocked"
    assert counts(client, one) == (1, 2, 1)
    drop(client, seated, one)
    assert (state(first, one), state(second, one)) == ("blocked", "enrolled")
    drop(client, second, one)
    assert counts(client, one) == (0, 1, 1)
    assert client.post(f"{address}/release", json={}).status_code == 200
    assert state(first, one) == "enrolled"
    assert counts(client, one) == (1, 0, 0)


def test_a_blocked_place_keeps_its_position(client, full, hold, state, tick):
    one, seated, first, second = full(2)
    address = hold(first)
    roster = client.get(f"/courses/{one}/students").json
    assert {s["id"]: (s["position"], s.get("blocked")) for s in roster} == {
        seated: (None, None),
        first: (1, True),
        second: (2, None),
    }
    mine = client.get(f"/students/{first}/courses").json
    assert [(c["position"], c["blocked"], c["waitlist_blocked"]) for c in mine] == [(1, True, 1)]
    client.post(f"{address}/release", json={})
    assert state(first, one) == "waitlisted"
    drop(client, seated, one)
    assert (state(first, one), state(second, one)) == ("enrolled", "waitlisted")


def test_the_history_and_eligibility_say_why(client, app, full, hold):
    one, _, first = full()
    address = hold(first)
    found = client.get(f"/students/{first}/eligibility?course={one}").json[0]
    assert [broken["rule"] for broken in found["broken"]] == ["hold", "course-full"]
    assert not found["eligible"]
    client.post(f"{address}/release", json={})
    found = client.get(f"/students/{first}/eligibility?course={one}").json[0]
    assert [broken["rule"] for broken in found["broken"]] == ["course-full"]
    history = client.get(f"/students/{first}/history").json
    told = [(event["from"], event["to"], event["why"]) for event in history]
    assert told == [
        ("waitlisted", "waitlisted", "unblocked"),
        ("waitlisted", "waitlisted", "blocked"),
        (None, "waitlisted", "requested"),
    ]
    with app.app_context(), transaction(writing=False) as session:
        query = "SELECT data FROM enrollment_events WHERE why = 'blocked'"
        data = session.execute(sa.text(query)).scalar_one()
    assert '"hold"' in (data if isinstance(data, str) else str(data).replace("'", '"'))


def test_a_new_student_gets_the_seat_beside_a_blocked_place(client, make, ask, full, hold, state):
    one, seated, first = full()
    address = hold(first)
    drop(client, seated, one)
    new = make.student()["id"]
    assert ask(new, [one]).json["added"] == [one]
    client.post(f"{address}/release", json={})
    assert (state(new, one), state(first, one)) == ("enrolled", "waitlisted")


def test_asking_again_for_a_blocked_place_beside_a_free_seat(client, ask, full, hold, state):
    one, seated, first = full()
    hold(first)
    drop(client, seated, one)
    refused = ask(first, [one])
    assert problem(refused) == (409, "course-full")
    said = refused.json["errors"][0]["detail"]
    assert said == f"Rules of registration block the waitlist place in course {one}."
    assert ask(first, [one], waitlist=True).json["waitlisted"] == [one]
    assert state(first, one) == "blocked"


def test_completions_groups_and_overrides_block_and_clear(client, make, ask, course, state):
    entry = {"title": "x", "credits_min": 1, "prerequisites": {"course": "CS 1"}}
    client.post("/catalog", json=entry | {"code": "CS 2"})
    one = course(catalog_code="CS 2", open_to={"group": "senior"})
    seated, first = (make.student(groups=["senior"])["id"] for _ in range(2))
    done = {"catalog_code": "CS 1", "kind": "course", "credits": 1}
    for student in (seated, first):
        made = client.post(f"/students/{student}/completions", json=done).json
        assert ask(student, [one], waitlist=True).status_code == 201
    mine = f"/students/{first}/completions/{made['id']}"

    client.patch(mine, json={"kind": "withdrawn"})
    assert state(first, one) == "blocked"
    client.patch(mine, json={"kind": "course"})
    assert state(first, one) == "waitlisted"
    client.delete(mine)
    assert state(first, one) == "blocked"

    lifted = {"rule": "prerequisite-missing", "course_id": one, "reason": "Transfer"}
    override = client.post(f"/students/{first}/overrides", json=lifted).json
    assert state(first, one) == "waitlisted"
    client.patch(f"/students/{first}", json={"groups": []})
    assert state(first, one) == "blocked"
    client.patch(f"/students/{first}", json={"groups": ["senior"]})
    assert state(first, one) == "waitlisted"
    client.post(f"/students/{first}/overrides/{override['id']}/revoke", json={})
    assert state(first, one) == "blocked"


def test_bulk_changes_and_edits_are_judged_by_tick(client, make, ask, course, full, state, tick):
    one, _, first = full(meetings=[MONDAY])
    other = course()
    assert ask(first, [other]).status_code == 201

    def after(edit):
        assert edit().status_code == 200
        assert "Students judged again: 1." in tick()
        return state(first, one)

    def patch(path, **fields):
        return lambda: client.patch(path, json=fields)

    assert after(patch(f"/courses/{other}", meetings=[MONDAY])) == "blocked"
    assert after(patch(f"/courses/{other}", meetings=[])) == "waitlisted"
    assert after(patch(f"/courses/{one}", open_to={"group": "senior"})) == "blocked"
    members = {"student_ids": [first]}
    assert after(lambda: client.post("/groups/senior/add", json=members)) == "waitlisted"
    assert after(lambda: client.post("/groups/senior/remove", json=members)) == "blocked"
    client.patch(f"/students/{first}", json={"external_id": "n1"})

    def batch(groups):
        items = [{"external_id": "n1", "groups": groups}]
        return lambda: client.post("/students/batch", json={"items": items})

    assert after(batch(["senior"])) == "waitlisted"
    assert after(batch([])) == "blocked"
    assert after(patch(f"/courses/{one}", open_to=None)) == "waitlisted"
    assert after(patch("/terms/2026-FA", max_courses=1)) == "blocked"
    assert after(patch("/terms/2026-FA", max_courses=None)) == "waitlisted"
    client.post("/catalog", json={"code": "CS 2", "title": "x", "credits_min": 1})
    assert after(patch(f"/courses/{one}", catalog_code="CS 2")) == "waitlisted"
    assert after(patch("/catalog/CS 2", prerequisites={"course": "CS 1"})) == "blocked"
    assert after(patch("/catalog/CS 2", prerequisites=None)) == "waitlisted"
    assert "Students judged again: 0." in tick()


def test_a_new_entry_that_is_the_same_is_judged_by_tick(client, make, ask, course, state, tick):
    """The entries that it names exist already, and so may completions of it."""
    entry = {"title": "x", "credits_min": 1}
    client.post("/catalog", json=entry | {"code": "CS 2", "prerequisites": {"course": "CS 1"}})
    one = course(catalog_code="CS 2")
    seated, first = (make.student()["id"] for _ in range(2))
    done = {"kind": "course", "credits": 1}
    for student in (seated, first):
        path = f"/students/{student}/completions"
        made = client.post(path, json=done | {"catalog_code": "CS 1"}).json
        assert ask(student, [one], waitlist=True).status_code == 201
    client.patch(f"{path}/{made['id']}", json={"catalog_code": "ECE 1"})
    assert state(first, one) == "blocked"
    client.post("/catalog", json=entry | {"code": "ECE 1", "same_as": ["CS 1"]})
    tick()
    assert state(first, one) == "waitlisted"
    client.delete("/catalog/ECE%201")
    tick()
    assert state(first, one) == "blocked"


def test_windows_and_deadlines_queue_nothing(client, full, state, tick):
    one, _, first = full()
    client.put("/terms/2026-FA/windows", json={"windows": []})
    client.patch("/terms/2026-FA", json={"drop_until": "2099-01-01T00:00:00"})
    client.patch(f"/courses/{one}", json={"contact": "x", "capacity": 1})
    assert "Students judged again: 0." in tick()
    assert state(first, one) == "waitlisted"


def test_what_expires_is_judged_by_tick(client, app, full, hold, state, tick):
    one, seated, first = full()
    soon = datetime.now(UTC) + timedelta(days=1)
    hold(first, until=soon.isoformat())
    drop(client, seated, one)
    assert "Students judged again: 0." in tick()
    with app.app_context(), transaction(writing=True) as session:
        now = datetime.now(UTC)
        session.execute(sa.update(Hold).values(until=now))
        session.execute(sa.update(WaitlistRecheck).values(due_at=now))
    assert "Students judged again: 1." in tick()
    assert state(first, one) == "enrolled"


def test_who_drops_the_course_that_clashes_is_cleared(client, ask, course, full, state, tick):
    one, seated, first = full(meetings=[MONDAY])
    other = course()
    ask(first, [other])
    client.patch(f"/courses/{other}", json={"meetings": [MONDAY]})
    tick()
    drop(client, seated, one)
    assert state(first, one) == "blocked"
    drop(client, first, other)
    tick()
    assert state(first, one) == "enrolled"


@pytest.mark.parametrize("way", ["drop", "delete", "cancel", "close"])
def test_blocked_places_end(client, app, full, hold, state, tick, way):
    one, _, first = full()
    hold(first)
    if way == "drop":
        drop(client, first, one)
    elif way == "delete":
        assert client.delete(f"/students/{first}").status_code == 204
    elif way == "cancel":
        client.post(f"/courses/{one}/cancel", json={})
    else:
        close_adds(app)
        assert "Waitlists ended: 1." in tick()
    assert counts(client, one) == (0 if way == "cancel" else 1, 0, 0)


def test_an_unlimited_course_keeps_blocked_places(client, make, ask, full, hold, state):
    one, _, first, second, third = full(3)
    address = hold(first)
    hold(third)
    assert client.patch(f"/courses/{one}", json={"capacity": None}).status_code == 200
    assert (state(first, one), state(second, one)) == ("blocked", "enrolled")
    assert counts(client, one) == (None, 2, 2)
    new = make.student()["id"]
    assert ask(new, [one]).status_code == 201
    drop(client, new, one)
    client.post(f"{address}/release", json={})
    assert (state(first, one), counts(client, one)) == ("enrolled", (None, 1, 1))
    drop(client, third, one)
    assert counts(client, one) == (None, 0, 0)
    assert client.patch(f"/courses/{one}", json={"capacity": 3}).json["seats_taken"] == 3


def test_move_and_reinstate_keep_a_place_blocked_until_tick(
    client, course, full, hold, state, tick
):
    one, _, first = full()
    to = course(capacity=5)
    address = hold(first)
    moved = client.post(f"/courses/{one}/move", json={"to": to, "student_ids": [first]})
    assert moved.json["waitlisted"] == [first]
    assert counts(client, to) == (0, 1, 1)
    drop(client, first, to)
    client.post(f"/courses/{to}/reinstate", json={"student_ids": [first]})
    assert (state(first, to), counts(client, to)) == ("blocked", (0, 1, 1))
    assert "Students judged again: 1." in tick()
    assert state(first, to) == "blocked"
    client.post(f"{address}/release", json={})
    assert state(first, to) == "enrolled"


def test_a_seat_that_is_moved_onto_a_blocked_place(client, make, ask, course, full, hold, state):
    one, _, first = full()
    other = course()
    ask(first, [other])
    hold(first)
    body = {"to": one, "student_ids": [first], "extend": True}
    assert client.post(f"/courses/{other}/move", json=body).json["added"] == [first]
    assert (state(first, one), counts(client, one)) == ("enrolled", (2, 0, 0))


def test_moved_to_a_course_without_a_term(client, make, full, hold, state):
    one, _, first = full()
    hold(first)
    plain = make.course(capacity=3)["id"]
    body = {"to": plain, "student_ids": [first]}
    assert client.post(f"/courses/{one}/move", json=body).json["added"] == [first]


def test_a_course_that_leaves_its_term_has_no_rules(client, full, hold, state, tick):
    one, _, first = full()
    hold(first)
    assert client.patch(f"/courses/{one}", json={"term": None}).status_code == 200
    tick()
    assert state(first, one) == "waitlisted"
