"""Holds: they block acts of a student until they are released."""

from __future__ import annotations

import pytest

from tests.conftest import bearer
from tests.web.problems import problem

HOLD = {"code": "BURSAR", "detail": "A fee is not paid.", "blocks": ["add"]}
LONG_AGO, FAR_AWAY = "2001-01-01T00:00:00Z", "2126-09-01T10:00:00+02:00"


@pytest.fixture
def path(student):
    """The address of the holds of a student."""
    return f"/students/{student}/holds"


def test_post_returns_the_address_and_the_tag(client, path, student):
    sent = {**HOLD, "blocks": ["drop", "add", "drop"], "contact": "bursar@x.edu", "until": FAR_AWAY}
    answer = client.post(path, json=sent)
    made = answer.json
    assert answer.status_code == 201, answer.text
    assert answer.headers["Location"] == f"/api/v1{path}/{made['id']}"
    assert answer.headers["ETag"] == f'"{made["id"]}-1"'
    assert made["blocks"] == ["add", "drop"]
    assert made["until"] == "2126-09-01T08:00:00Z"
    assert (made["student_id"], made["contact"], made["code"]) == (
        student,
        "bursar@x.edu",
        "BURSAR",
    )
    assert (made["created_by"], made["released_at"], made["released_by"]) == (None, None, None)
    assert client.get(answer.headers["Location"]).json == client.get(path).json[0] == made


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("code", value) for value in ("", None, "x" * 65, 7)),
        *(("detail", value) for value in (None, " ", "x" * 501)),
        *(("contact", value) for value in ("", "x" * 201)),
        *(("blocks", value) for value in ([], ["enroll"], "add", None, [None], [["add"]], {})),
        *(("until", value) for value in ("2126-09-01T10:00:00", "2126-09-01", 7, "tomorrow")),
        *(("until", value) for value in ("2126-13-01T10:00:00Z", "9999-12-31T23:59:59-01:00")),
        ("released_at", LONG_AGO),
    ],
)
def test_invalid_holds_are_refused(client, path, field, value):
    answer = client.post(path, json={**HOLD, field: value})
    assert problem(answer) == (422, "invalid")
    assert {fault["pointer"].split("/")[1] for fault in answer.json["errors"]} == {field}


def test_code_detail_and_blocks_are_required(client, path):
    answer = client.post(path, json={})
    assert [fault["pointer"] for fault in answer.json["errors"]] == ["/detail", "/blocks", "/code"]


def test_a_change(client, path):
    made = client.post(path, json={**HOLD, "until": FAR_AWAY, "contact": "x"}).json
    one = f"{path}/{made['id']}"
    changed = client.patch(
        one, json={**made, "detail": "Paid in part.", "blocks": ["drop"], "until": None}
    )
    assert changed.status_code == 200, changed.text
    assert changed.json == made | {
        "detail": "Paid in part.",
        "blocks": ["drop"],
        "until": None,
        "version": 2,
        "updated_at": changed.json["updated_at"],
    }
    assert client.patch(one, json={"blocks": ["drop"]}).json == changed.json
    assert client.patch(one, json={"contact": None}).json["contact"] is None
    stale = client.patch(one, json={"detail": "x"}, headers={"If-Match": f'"{made["id"]}-1"'})
    assert problem(stale) == (412, "stale")
    assert client.delete(one).status_code == 405


def test_releasing_is_recorded_and_idempotent(client, path, student, events):
    one = f"{path}/{client.post(path, json=HOLD).json['id']}"
    assert problem(client.post(f"{one}/release", headers={"If-Match": '"0"'}, json={})) == (
        412,
        "stale",
    )
    released = client.post(f"{one}/release", json={"reason": "Paid"})
    assert released.status_code == 200
    assert released.json["released_at"] is not None
    assert released.json["version"] == 2
    again = client.post(f"{one}/release")
    assert (again.status_code, again.json) == (200, released.json)
    assert again.headers["ETag"] == released.headers["ETag"]
    assert client.get(one).json == released.json
    told = events("hold")
    hold_id = released.json["id"]
    assert [(event["type"], event["reason"], event["data"]) for event in told] == [
        ("hold.created", None, {"hold_id": hold_id, "code": "BURSAR", "released": False}),
        ("hold.changed", "Paid", {"hold_id": hold_id, "code": "BURSAR", "released": True}),
    ]
    assert {event["student_id"] for event in told} == {student}


def test_active_holds_are_neither_released_nor_past(client, path):
    active = client.post(path, json=HOLD).json["id"]
    later = client.post(path, json={**HOLD, "until": FAR_AWAY}).json["id"]
    past = client.post(path, json={**HOLD, "until": LONG_AGO}).json["id"]
    released = client.post(path, json=HOLD).json["id"]
    client.post(f"{path}/{released}/release")
    shown = {
        query: [hold["id"] for hold in client.get(f"{path}{query}").json]
        for query in ("", "?active=true", "?active=false")
    }
    assert shown == {
        "": [active, later, past, released],
        "?active=true": [active, later],
        "?active=false": [past, released],
    }
    assert problem(client.get(f"{path}?active=1")) == (422, "invalid")


def test_unknown_holds_and_students(client, path, make):
    one = client.post(path, json=HOLD).json["id"]
    other = make.student()["id"]
    for address in (f"{path}/999999", f"/students/{other}/holds/{one}"):
        assert problem(client.get(address)) == (404, "hold-not-found")
        assert problem(client.patch(address, json={})) == (404, "hold-not-found")
        assert problem(client.post(f"{address}/release")) == (404, "hold-not-found")
    for answer in (
        client.get("/students/999999/holds"),
        client.post("/students/999999/holds", json=HOLD),
    ):
        assert problem(answer) == (404, "student-not-found")


def test_deleting_a_student_deletes_their_holds(client, path, student):
    client.post(path, json=HOLD)
    assert client.delete(f"/students/{student}").status_code == 204


def test_who_placed_and_who_released_a_hold(guarded, new_key, path, issuer):
    client = guarded.test_client()
    bursar, dean = (bearer(new_key("holds:write", name=name)) for name in ("bursar", "dean"))
    me = bearer(issuer.token(number="100"))
    made = client.post(path, json=HOLD, headers=bursar).json
    one = f"{path}/{made['id']}"
    released = client.post(f"{one}/release", headers=dean).json
    assert (made["created_by"], released["released_by"]) == ("key:bursar", "key:dean")
    assert client.get(one, headers=bursar).json == released
    hidden = released | {"created_by": None, "released_by": None}
    assert client.get(one, headers=me).json == hidden
    assert client.get(path, headers=me).json == [hidden]
    assert problem(client.post(f"{one}/release", headers=me)) == (403, "scope-missing")
