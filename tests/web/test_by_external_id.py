"""The addresses of students and courses by their external ids."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from urllib.parse import quote

import pytest

from tests.conftest import bearer
from tests.web.problems import problem

KINDS = {
    "students": {"name": "Ada Lovelace", "email": "ada@x.edu"},
    "courses": {"name": "Algebra", "level": "sophomore", "capacity": 2},
}
EACH = pytest.mark.parametrize(("kind", "body"), KINDS.items())
MISSING = {"students": "student-not-found", "courses": "course-not-found"}


@EACH
def test_put_creates_and_then_changes(client, kind, body):
    address = f"/{kind}/by-external-id/N-1"
    made = client.put(f"/api/v1{address}", json=body)
    row = made.json
    assert made.status_code == 201
    assert made.headers["Location"] == f"/api/v1/{kind}/{row['id']}"
    assert (row["external_id"], row["version"]) == ("N-1", 1)
    assert client.get(made.headers["Location"]).json == row

    changed = client.put(address, json=body | {"name": "B", "external_id": "N-1"})
    assert (changed.status_code, changed.json["name"]) == (200, "B")
    assert "Location" not in changed.headers
    assert (changed.json["id"], changed.json["version"]) == (row["id"], 2)

    again = client.put(address, json={"name": "B"})
    assert (again.status_code, again.json) == (200, changed.json)
    # The whole response may be sent back.
    assert client.put(address, json=again.json).json == again.json
    assert len(client.get(f"/{kind}").json) == 1


@EACH
def test_get_patch_and_delete_are_those_of_the_id(client, kind, body):
    address = f"/{kind}/by-external-id/N-1"
    row = client.post(f"/{kind}", json=body | {"external_id": "N-1"}).json
    found, by_id = client.get(address), client.get(f"/{kind}/{row['id']}")
    assert (found.json, found.headers["ETag"]) == (row, by_id.headers["ETag"])
    assert client.get(address, headers={"If-None-Match": by_id.headers["ETag"]}).status_code == 304
    assert client.patch(address, json={"name": "B"}).json["name"] == "B"
    assert client.get(f"/{kind}/{row['id']}").json["name"] == "B"
    assert client.delete(address).status_code == 204
    for method in ("get", "delete"):
        assert problem(getattr(client, method)(address)) == (404, MISSING[kind])
    assert problem(client.patch(address, json={"name": "C"})) == (404, MISSING[kind])


@EACH
@pytest.mark.parametrize(
    "external_id", ["a/b", "//", "Grün ß", "100%", "a b", "é", "批", "a;b=c?d#e", "123", "enroll"]
)
def test_any_external_id_is_an_address(gunicorn, client, kind, body, external_id):
    address = f"/{kind}/by-external-id/{quote(external_id, safe='')}"
    made = gunicorn.request("PUT", address, body)
    assert (made.status, made.json["external_id"]) == (201, external_id)
    assert gunicorn.request("GET", address).json == made.json
    assert client.get(f"/{kind}", query_string={"external_id": external_id}).json == [made.json]
    assert gunicorn.request("PATCH", address, {"name": "B"}).json["name"] == "B"
    assert gunicorn.request("DELETE", address).status == 204


@EACH
def test_a_body_that_names_another_external_id_is_refused(client, kind, body):
    address = f"/{kind}/by-external-id/N-1"
    answer = client.put(address, json=body | {"external_id": "N-2"})
    assert problem(answer) == (422, "invalid")
    assert [fault["pointer"] for fault in answer.json["errors"]] == ["/external_id"]
    assert client.get(f"/{kind}").json == []
    made = client.put(address, json=body | {"external_id": None})
    assert (made.status_code, made.json["external_id"]) == (201, "N-1")
    answer = client.patch(address, json={"external_id": "N-2"})
    assert [fault["pointer"] for fault in answer.json["errors"]] == ["/external_id"]


@EACH
def test_a_creation_lists_every_fault(client, kind, body):
    answer = client.put(f"/{kind}/by-external-id/N-1", json={"id": 7})
    assert problem(answer) == (422, "invalid")
    required = {"students": {"/name"}, "courses": {"/name", "/level"}}[kind]
    assert {fault["pointer"] for fault in answer.json["errors"]} == required
    for wrong in ("%20", "x" * 256, "%00", "%FF", "%CC%81" * 31):
        answer = client.put(f"/{kind}/by-external-id/{wrong}", json=body)
        assert problem(answer) == (422, "invalid")
        assert [fault["parameter"] for fault in answer.json["errors"]] == ["external_id"]
        assert problem(client.get(f"/{kind}/by-external-id/{wrong}")) == (404, MISSING[kind])


@EACH
def test_preconditions_of_a_put(client, kind, body):
    address = f"/{kind}/by-external-id/N-1"
    for tag in ("*", '"1-1"'):
        assert problem(client.put(address, json=body, headers={"If-Match": tag})) == (412, "stale")
    assert client.get(f"/{kind}").json == []
    too_long = client.put(f"{address}{'x' * 255}", json=body, headers={"If-Match": "*"})
    assert problem(too_long) == (422, "invalid")
    made = client.put(address, json=body, headers={"If-None-Match": "*"})
    assert made.status_code == 201
    refused = client.put(address, json={"name": "B"}, headers={"If-None-Match": "*"})
    assert problem(refused) == (412, "stale")
    old = {"If-Match": made.headers["ETag"]}
    assert client.put(address, json={"name": "B"}, headers=old).status_code == 200
    assert problem(client.patch(address, json={"name": "C"}, headers=old)) == (412, "stale")
    assert problem(client.delete(address, headers=old)) == (412, "stale")


@EACH
def test_a_rehearsed_put_changes_nothing(client, kind, body):
    address = f"/{kind}/by-external-id/N-1"
    answer = client.put(f"{address}?dry_run=true", json=body)
    assert (answer.status_code, answer.json["name"]) == (201, body["name"])
    assert (answer.headers["Dry-Run"], "Location" in answer.headers) == ("true", False)
    assert problem(client.get(address)) == (404, MISSING[kind])


@EACH
def test_a_repeated_put_gets_the_first_response(client, kind, body):
    address, key = f"/{kind}/by-external-id/N-1", {"Idempotency-Key": "k"}
    made = client.put(address, json=body, headers=key)
    again = client.put(address, json=body, headers=key)
    assert (again.status_code, again.json) == (201, made.json)
    assert again.headers["Location"] == made.headers["Location"]
    other = client.put(f"/{kind}/by-external-id/N-2", json=body, headers=key)
    assert problem(other) == (422, "idempotency-key-reused")


def test_taken_values_of_others_are_refused_together(client, make):
    other = make.student(email="ada@x.edu")
    answer = client.put("/students/by-external-id/N-1", json={"name": "Ada", "email": "ADA@x.edu"})
    assert problem(answer) == (409, "student-email-taken")
    assert [(one["pointer"], one["id"]) for one in answer.json["errors"]] == [
        ("/email", other["id"])
    ]
    make.student(external_id="N-1", email="own@x.edu")
    answer = client.patch("/students/by-external-id/N-1", json={"email": "ada@x.edu"})
    assert [(one["pointer"], one["id"]) for one in answer.json["errors"]] == [
        ("/email", other["id"])
    ]
    course = make.course(name="Algebra")
    answer = client.put("/courses/by-external-id/N", json={"name": "ALGEBRA", "level": "x"})
    assert [(one["pointer"], one["id"]) for one in answer.json["errors"]] == [
        ("/name", course["id"])
    ]


@EACH
def test_simultaneous_puts_create_one_row(gunicorn, client, kind, body):
    together = Barrier(8)

    def put(_: int) -> int:
        together.wait()
        return int(gunicorn.request("PUT", f"/{kind}/by-external-id/N-1", body).status)

    for _ in range(5):
        with ThreadPoolExecutor(8) as pool:
            assert sorted(pool.map(put, range(8))) == [200] * 7 + [201]
        (row,) = client.get(f"/{kind}").json
        assert (row["external_id"], row["version"]) == ("N-1", 1)
        assert client.delete(f"/{kind}/{row['id']}").status_code == 204


@pytest.mark.parametrize("name", ["by-external-id", " By-External-ID "])
def test_no_course_has_the_name_of_these_addresses(client, make, name):
    course = make.course()
    body = {"name": name, "level": "x"}
    for answer in (
        client.post("/courses", json=body),
        client.patch(f"/courses/{course['id']}", json={"name": name}),
    ):
        assert problem(answer) == (422, "invalid")
        (fault,) = answer.json["errors"]
        assert fault == {
            "pointer": "/name",
            "detail": "Must not be by-external-id: addresses of external ids begin with these "
            "words.",
        }
    assert client.post("/courses", json=body | {"name": "by-external-id/x"}).status_code == 201


def test_a_course_is_closed_without_waiting_by_its_external_id(client, make, statements):
    make.course(external_id="N-1")
    with statements() as sent:
        answer = client.patch("/courses/by-external-id/N-1", json={"status": "closed"})
    assert answer.json["status"] == "closed"
    assert not [one for one in sent if "FOR UPDATE" in one]


def test_the_scopes_are_those_of_the_addresses_by_id(guarded, new_key, make):
    make.student(external_id="N-1")
    client = guarded.test_client()
    reader = bearer(new_key("students:read", name="Reader"))
    writer = bearer(new_key("students:write", name="Writer"))
    address = "/students/by-external-id/N-1"
    assert client.get(address, headers=reader).status_code == 200
    assert problem(client.put(address, json={"name": "B"}, headers=reader)) == (
        403,
        "scope-missing",
    )
    assert client.put(address, json={"name": "B"}, headers=writer).status_code == 200
    # Sign-ins recognise students by the external id: a new one needs another scope.
    refused = client.put("/students/by-external-id/N-2", json={"name": "B"}, headers=writer)
    assert (refused.status_code, refused.json["scope"]) == (403, "identities:write")
    groups = client.patch(address, json={"groups": ["a"]}, headers=writer)
    assert (groups.status_code, groups.json["scope"]) == (403, "records:write")
