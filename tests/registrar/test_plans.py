"""A rehearsal has a Plan, and a write with that plan does that or nothing."""

from __future__ import annotations

import pytest

from tests.web.problems import problem

pytestmark = pytest.mark.usefixtures("audited")


@pytest.fixture
def ids(make):
    return [make.student()["id"] for _ in range(5)]


@pytest.fixture
def acts(ids, course_with, client):
    """The acts that have plans, each as method, path and body."""
    one, other = course_with(1, 5, ids[:3]), course_with(None, 0, ids[3:4])
    client.delete(f"/students/{ids[3]}/courses/{other}")
    return {
        "cancel": ("POST", f"/courses/{one}/cancel", {}),
        "move": ("POST", f"/courses/{one}/move", {"to": other, "all": True}),
        "reinstate": ("POST", f"/courses/{other}/reinstate", {"student_ids": [ids[3]]}),
        "students": ("POST", f"/courses/{other}/students", {"student_ids": [ids[4]]}),
        "drop": ("POST", f"/courses/{one}/drop", {"student_ids": [ids[0]]}),
        "capacity": ("PATCH", f"/courses/{one}", {"capacity": 2}),
    }


def send(client, request, query):
    method, path, body = request
    return client.open(path + query, method=method, json=body)


NAMES = ("cancel", "move", "reinstate", "students", "drop", "capacity")


@pytest.mark.parametrize("name", NAMES)
def test_a_plan_is_done_if_nothing_has_changed(client, acts, name):
    rehearsed = send(client, acts[name], "?dry_run=true")
    assert rehearsed.status_code < 300, rehearsed.text
    plan = rehearsed.headers["Plan"]
    assert send(client, acts[name], "?dry_run=true").headers["Plan"] == plan
    done = send(client, acts[name], f"?plan={plan}")
    assert (done.status_code, "Plan" in done.headers) == (rehearsed.status_code, False)
    assert send(client, acts[name], "").headers.get("Plan") is None


@pytest.mark.parametrize("name", NAMES)
def test_another_outcome_is_refused_and_shown(client, acts, ids, name):
    plan = send(client, acts[name], "?dry_run=true").headers["Plan"]
    before = client.get(f"/students/{ids[0]}/history").json
    refused = send(client, acts[name], f"?plan={'0' * 32}")
    assert problem(refused) == (412, "plan-outdated")
    outcome = refused.json["outcome"]
    assert outcome["moves"]
    assert {"student_id", "course_id", "from", "to", "why"} == set(outcome["moves"][0])
    assert {"id", "status", "capacity", "waitlist_capacity"} == set(outcome["courses"][0])
    assert client.get(f"/students/{ids[0]}/history").json == before
    assert send(client, acts[name], "?dry_run=true").headers["Plan"] == plan


def test_a_plan_is_outdated_when_somebody_comes_in_between(client, acts, ids):
    _, path, _ = acts["cancel"]
    course = int(path.split("/")[2])
    plan = send(client, acts["cancel"], "?dry_run=true").headers["Plan"]
    body = {"course_ids": [course], "waitlist": True}
    assert client.post(f"/students/{ids[4]}/enroll", json=body).status_code == 201
    refused = send(client, acts["cancel"], f"?plan={plan}")
    assert problem(refused) == (412, "plan-outdated")
    assert {one["student_id"] for one in refused.json["outcome"]["moves"]} == {*ids[:3], ids[4]}
    assert refused.json["outcome"]["courses"] == [
        {"id": course, "status": "cancelled", "capacity": 1, "waitlist_capacity": 5}
    ]
    assert client.get(f"/courses/{course}").json["status"] == "open"


def test_a_refused_plan_claims_no_key(client, acts):
    method, path, body = acts["drop"]
    key = {"Idempotency-Key": "p1"}
    wrong = client.open(f"{path}?plan={'0' * 32}", method=method, json=body, headers=key)
    assert problem(wrong) == (412, "plan-outdated")
    plan = send(client, acts["drop"], "?dry_run=true").headers["Plan"]
    first = client.open(f"{path}?plan={plan}", method=method, json=body, headers=key)
    again = client.open(f"{path}?plan={plan}", method=method, json=body, headers=key)
    assert (first.status_code, again.json) == (200, first.json)
    assert again.headers["Idempotent-Replayed"] == "true"


def test_plans_that_are_none(client, acts, make):
    for plan in ("", "X", "0" * 65):
        assert problem(send(client, acts["drop"], f"?plan={plan}")) == (422, "invalid")
    assert problem(client.post("/students?plan=0", json={"name": "Ada"})) == (422, "invalid")
