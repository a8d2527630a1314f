"""Overrides: each lifts one rule for one student."""

from __future__ import annotations

import pytest

from tests.conftest import bearer
from tests.web.problems import problem

OVERRIDE = {"rule": "prerequisite-missing", "catalog_code": "CS 225", "reason": "Placement test"}
LONG_AGO, FAR_AWAY = "2001-01-01T00:00:00Z", "2126-09-01T08:00:00Z"


@pytest.fixture
def path(student):
    """The address of the overrides of a student."""
    return f"/students/{student}/overrides"


def test_post_returns_the_address_and_the_tag(client, path, student):
    answer = client.post(path, json={**OVERRIDE, "expires_at": FAR_AWAY})
    made = answer.json
    assert answer.status_code == 201, answer.text
    assert answer.headers["Location"] == f"/api/v1{path}/{made['id']}"
    assert answer.headers["ETag"] == f'"{made["id"]}-1"'
    assert {**OVERRIDE, "student_id": student, "expires_at": FAR_AWAY}.items() <= made.items()
    empty = ("course_id", "term", "value", "granted_by", "revoked_at", "revoked_by")
    assert {made[name] for name in empty} == {None}
    assert client.get(answer.headers["Location"]).json == client.get(path).json[0] == made


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        ("credits-exceeded", 21.5),
        ("credits-below-minimum", 0),
        ("courses-exceeded", 7),
        ("repeat-limit", 9999),
    ],
)
def test_limits_have_a_value(client, path, rule, value):
    made = client.post(path, json={"rule": rule, "term": "F26", "reason": "x", "value": value})
    assert made.status_code == 201, made.text
    assert made.json["value"] == value
    assert client.get(path).json[0] == client.get(f"{path}/{made.json['id']}").json == made.json


@pytest.mark.parametrize(
    ("changed", "pointers"),
    [
        ({"rule": "course-cancelled"}, {"/rule"}),
        ({"rule": None}, {"/rule"}),
        ({"reason": None}, {"/reason"}),
        ({"reason": "x" * 501}, {"/reason"}),
        ({"catalog_code": None}, {""}),
        ({"term": "F26"}, {""}),
        ({"course_id": 1}, {""}),
        ({"value": 3}, {"/value"}),
        ({"rule": "credits-exceeded"}, {"/value"}),
        ({"rule": "credits-exceeded", "value": 100}, {"/value"}),
        ({"rule": "credits-exceeded", "value": -1}, {"/value"}),
        ({"rule": "credits-exceeded", "value": 1.001}, {"/value"}),
        ({"rule": "repeat-limit", "value": 1.5}, {"/value"}),
        ({"rule": "courses-exceeded", "value": 10000}, {"/value"}),
        ({"rule": "repeat-limit", "value": 1.5, "term": "F"}, {"", "/value"}),
        ({"expires_at": "2126-09-01"}, {"/expires_at"}),
        ({"granted_by": "me"}, {"/granted_by"}),
    ],
)
def test_invalid_overrides_are_refused(client, path, changed, pointers):
    answer = client.post(path, json={**OVERRIDE, **changed})
    assert problem(answer) == (422, "invalid")
    assert {fault["pointer"] for fault in answer.json["errors"]} == pointers


def test_the_course_must_exist(client, path, make):
    course = make.course()["id"]
    for_course = {"rule": "course-full", "reason": "x", "course_id": course}
    made = client.post(path, json=for_course)
    assert (made.status_code, made.json["course_id"]) == (201, course)
    unknown = client.post(path, json={**for_course, "course_id": 999999})
    assert problem(unknown) == (404, "course-not-found")
    assert unknown.json["missing"] == [999999]
    assert client.delete(f"/courses/{course}").status_code == 204
    assert client.get(path).json == []


def test_revoking_is_recorded_and_idempotent(client, path, student, events):
    made = client.post(path, json=OVERRIDE).json
    one = f"{path}/{made['id']}"
    stale = client.post(f"{one}/revoke", headers={"If-Match": '"0"'}, json={})
    assert problem(stale) == (412, "stale")
    revoked = client.post(f"{one}/revoke", json={"reason": "A mistake"})
    assert revoked.status_code == 200
    assert (revoked.json["revoked_at"] is None, revoked.json["version"]) == (False, 2)
    again = client.post(f"{one}/revoke")
    assert (again.status_code, again.json) == (200, revoked.json)
    assert client.get(one).json == revoked.json
    data = {"override_id": made["id"], "rule": "prerequisite-missing", "catalog_code": "CS 225"}
    data |= {"course_id": None, "term": None}
    told = events("override")
    assert [(event["type"], event["reason"], event["data"]) for event in told] == [
        ("override.created", "Placement test", {**data, "revoked": False}),
        ("override.changed", "A mistake", {**data, "revoked": True}),
    ]
    assert {event["student_id"] for event in told} == {student}
    for method in (client.patch, client.put, client.delete):
        assert method(one, json={}).status_code == 405


def test_active_overrides_are_neither_revoked_nor_past(client, path):
    active = client.post(path, json={**OVERRIDE, "expires_at": FAR_AWAY}).json["id"]
    past = client.post(path, json={**OVERRIDE, "expires_at": LONG_AGO}).json["id"]
    revoked = client.post(path, json=OVERRIDE).json["id"]
    client.post(f"{path}/{revoked}/revoke")
    shown = [
        [one["id"] for one in client.get(f"{path}{query}").json]
        for query in ("", "?active=true", "?active=false")
    ]
    assert shown == [[active, past, revoked], [active], [past, revoked]]


def test_unknown_overrides_and_students(client, path, make):
    one = client.post(path, json=OVERRIDE).json["id"]
    other = make.student()["id"]
    for address in (f"{path}/999999", f"/students/{other}/overrides/{one}"):
        assert problem(client.get(address)) == (404, "override-not-found")
        assert problem(client.post(f"{address}/revoke")) == (404, "override-not-found")
    for answer in (
        client.get("/students/999999/overrides"),
        client.post("/students/999999/overrides", json=OVERRIDE),
    ):
        assert problem(answer) == (404, "student-not-found")


def test_deleting_a_student_deletes_their_overrides_and_clears_the_reasons(
    client, path, student, events
):
    client.post(path, json=OVERRIDE)
    assert client.delete(f"/students/{student}").status_code == 204
    assert [event["reason"] for event in events("override")] == [None]


def test_students_do_not_see_who_granted_an_override_and_why(guarded, new_key, path, issuer):
    client = guarded.test_client()
    dean = bearer(new_key("overrides:write", name="dean"))
    me = bearer(issuer.token(number="100"))
    made = client.post(path, json=OVERRIDE, headers=dean).json
    one = f"{path}/{made['id']}"
    revoked = client.post(f"{one}/revoke", headers=dean).json
    assert (revoked["granted_by"], revoked["revoked_by"]) == ("key:dean", "key:dean")
    assert client.get(one, headers=dean).json == revoked
    hidden = revoked | {"reason": None, "granted_by": None, "revoked_by": None}
    assert client.get(one, headers=me).json == hidden
    assert client.get(path, headers=me).json == [hidden]
    assert problem(client.post(path, json=OVERRIDE, headers=me)) == (403, "scope-missing")
