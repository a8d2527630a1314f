"""Students over HTTP."""

from __future__ import annotations

import pytest

from tests.web.problems import problem


def test_post_returns_the_address_and_the_tag(client):
    answer = client.post(
        "/api/v1/students",
        json={"name": "  Ada Lovelace ", "email": "Ada@Example.edu", "external_id": "S-1"},
    )
    student = answer.json
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/api/v1/students/{student['id']}"
    assert answer.headers["ETag"] == f'"{student["id"]}-1"'
    assert (student["name"], student["email"], student["external_id"], student["version"]) == (
        "Ada Lovelace",
        "Ada@Example.edu",
        "S-1",
        1,
    )
    assert student["created_at"] == student["updated_at"]
    assert student["created_at"].endswith("Z")
    assert client.get(answer.headers["Location"]).json == student


def test_only_the_name_of_a_student_is_required(client):
    student = client.post("/students", json={"name": "Ada", "email": None}).json
    assert (student["email"], student["external_id"]) == (None, None)


def test_names_may_repeat_and_email_addresses_may_not(client, make):
    make.student(name="Ada", email="STRASSE@x.edu", external_id="7")
    make.student(name="Ada")
    assert problem(client.post("/students", json={"name": "B", "email": "straße@X.EDU"})) == (
        409,
        "student-email-taken",
    )
    assert problem(client.post("/students", json={"name": "B", "external_id": "7"})) == (
        409,
        "external-id-taken",
    )
    assert len(client.get("/students").json) == 2


@pytest.mark.parametrize(
    "email", ["ada", "@x", "ada@", "a@b@c", "a b@c", "a@b c", "", " ", "a" * 250 + "@b.cd"]
)
def test_an_invalid_email_address_is_refused(client, email):
    answer = client.post("/students", json={"name": "Ada", "email": email})
    assert problem(answer) == (422, "invalid")
    assert {fault["pointer"] for fault in answer.json["errors"]} == {"/email"}


@pytest.mark.parametrize("method", ["put", "patch"])
def test_fields_not_in_a_change_keep_their_values(client, make, method):
    student = make.student(name="Ada", email="a@b.c", external_id="1")
    answer = getattr(client, method)(
        f"/students/{student['id']}", json={"name": "Ada L.", "email": None}
    )
    assert answer.status_code == 200
    assert {
        **student,
        "name": "Ada L.",
        "email": None,
        "version": 2,
        "updated_at": answer.json["updated_at"],
    } == answer.json
    assert answer.json["updated_at"] > student["updated_at"]
    assert answer.headers["ETag"] == f'"{student["id"]}-2"'
    # The e-mail address that was cleared is free, and the new name is found.
    make.student(email="A@B.C")
    assert [s["id"] for s in client.get("/students?q=ADA L").json] == [student["id"]]


@pytest.mark.parametrize("change", [{}, {"name": "Ada"}, {"name": " Ada ", "email": "a@b.c"}])
def test_a_change_without_effect_keeps_the_version(client, make, change):
    student = make.student(name="Ada", email="a@b.c")
    assert client.patch(f"/students/{student['id']}", json=change).json == student


def test_the_name_cannot_be_cleared(client, make):
    student = make.student()
    answer = client.patch(f"/students/{student['id']}", json={"name": None})
    assert problem(answer) == (422, "invalid")
    assert answer.json["errors"][0]["pointer"] == "/name"


def test_deleting_a_student_ends_their_enrollments(client, make):
    student, course = make.student(), make.course()
    client.post(f"/students/{student['id']}/enroll", json={"course_ids": [course["id"]]})
    answer = client.delete(f"/students/{student['id']}")
    assert (answer.status_code, answer.data) == (204, b"")
    assert problem(client.get(f"/students/{student['id']}")) == (404, "student-not-found")
    assert client.get(f"/courses/{course['id']}/students").json == []
    assert client.delete(f"/courses/{course['id']}").status_code == 204


def test_an_id_is_never_used_again(client, make):
    last = make.student()
    client.delete(f"/students/{last['id']}")
    assert make.student()["id"] > last["id"]


@pytest.mark.parametrize(
    "student_id",
    [
        "0",
        "999999999",
        "9223372036854775807",
        "9223372036854775808",
        "007",
        "abc",
        "-1",
        "9" * 5000,
    ],
)
@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
def test_an_unknown_student_gets_404(client, student_id, method):
    body = {"json": {}} if method in ("put", "patch") else {}
    assert problem(getattr(client, method)(f"/students/{student_id}", **body)) == (
        404,
        "student-not-found",
    )


def test_students_are_filtered_by_email_external_id_and_words_of_the_name(client, make):
    ada = make.student(name="Ada Lovelace", email="Ada@x.edu", external_id="e1")
    make.student(name="Alan Turing", email="alan@x.edu", external_id="e2")
    make.student(name="Rada", external_id="e%")
    for query in (
        "email=ADA@X.EDU",
        "external_id=e1",
        "q=ada",
        "q=ADA%20L",
        "q=lovelace",
        "q=Ada&email=ada@x.edu",
    ):
        assert [s["id"] for s in client.get(f"/students?{query}").json] == [ada["id"]], query
    for query in ("email=nobody@x.edu", "external_id=E1", "q=ovelace", "q=%25", "q=_da"):
        assert client.get(f"/students?{query}").json == [], query
