"""A 409 for values that must be unique lists every taken value, and its owner if the principal may
read it.
"""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from course_management.core.principal import IDENTITIES, Principal
from course_management.courses.models import Course
from course_management.db.transaction import transaction
from course_management.students.models import Student
from course_management.web.access import PRINCIPAL_KEY
from tests.web.problems import problem

EMAIL = {
    "pointer": "/email",
    "code": "student-email-taken",
    "detail": "Another student has this e-mail address.",
}
STUDENTS_ID = {
    "pointer": "/external_id",
    "code": "external-id-taken",
    "detail": "This external id is taken.",
}
NAME = {"pointer": "/name", "code": "course-name-taken", "detail": "Another course has this name."}


def students(client, make):
    one, other = make.student(email="Ada@x.edu")["id"], make.student(external_id="7")["id"]
    both = {"name": "B", "email": "ADA@X.EDU", "external_id": "7"}
    mine = make.student(email="me@x.edu", external_id="me")["id"]
    return "/students", mine, both, [EMAIL | {"id": one}, STUDENTS_ID | {"id": other}]


def courses(client, make):
    one, other = make.course(name="Straße")["id"], make.course(external_id="7")["id"]
    both = {"name": "STRASSE", "level": "x", "external_id": "7"}
    mine = make.course(name="Mine", external_id="me")["id"]
    return "/courses", mine, both, [NAME | {"id": one}, STUDENTS_ID | {"id": other}]


@pytest.fixture(params=[students, courses])
def clash(request, client, make):
    """The path of a list, the body of an existing row, a body with two clashes, and the expected
    errors.
    """
    return request.param(client, make)


def test_every_clash_of_a_body_is_listed(client, clash):
    path, mine, both, listed = clash
    for method, to in (("post", path), ("put", f"{path}/{mine}"), ("patch", f"{path}/{mine}")):
        answer = getattr(client, method)(to, json=both)
        assert problem(answer) == (409, listed[0]["code"])
        assert answer.json["errors"] == listed
        assert answer.json["detail"] == f"{listed[0]['detail']} (1 more in errors.)"
    only = client.patch(f"{path}/{mine}", json={"external_id": "7"})
    assert problem(only) == (409, "external-id-taken")
    assert (only.json["errors"], only.json["detail"]) == (listed[1:], listed[1]["detail"])


def test_one_row_may_have_both_values(client, make):
    student = make.student(email="a@x.edu", external_id="1")["id"]
    answer = client.post("/students", json={"name": "B", "email": "A@x.edu", "external_id": "1"})
    assert answer.json["errors"] == [EMAIL | {"id": student}, STUDENTS_ID | {"id": student}]


def test_the_own_value_of_a_row_is_no_clash(client, make, clash):
    path, mine, _, listed = clash
    own = client.get(f"{path}/{mine}").json
    answer = client.put(f"{path}/{mine}", json=own | {"external_id": "7"})
    assert answer.json["errors"] == listed[1:]
    if path == "/courses":
        answer = client.put("/courses/MINE", json=own | {"external_id": "7"})
        assert answer.json["errors"] == listed[1:]


def test_a_clash_under_a_key_is_listed_and_not_stored(client, clash):
    path, _, both, listed = clash
    for _ in range(2):
        answer = client.post(path, json=both, headers={"Idempotency-Key": "k"})
        assert answer.json["errors"] == listed
        assert "Idempotent-Replayed" not in answer.headers


def test_the_id_of_the_other_row_is_shown_only_to_readers(guarded, clash):
    path, _, both, listed = clash
    client, feature = guarded.test_client(), path[1:]
    for scopes, shown in (
        ({f"{feature}:write", f"{feature}:read"}, True),
        ({f"{feature}:write"}, False),
    ):
        principal = Principal("key:sync", frozenset({*scopes, IDENTITIES}))
        answer = client.post(path, json=both, environ_base={PRINCIPAL_KEY: principal})
        wanted = (
            listed if shown else [{k: v for k, v in one.items() if k != "id"} for one in listed]
        )
        assert (answer.status_code, answer.json["errors"]) == (409, wanted)


@pytest.mark.parametrize(("kind", "path"), [(Student, "/students"), (Course, "/courses")])
def test_the_constraint_decides_if_the_other_row_is_gone(
    app, client, make, monkeypatch, kind, path
):
    """The other row is deleted between the refusal and the search for clashes."""
    make.student(external_id="7")
    make.course(external_id="7")

    def gone(reader, *_, **__):
        with app.app_context(), transaction(writing=True) as session:
            session.execute(sa.delete(kind))
        return find(reader, *_, **__)

    from course_management.db import integrity

    find = integrity.find_taken
    monkeypatch.setattr(integrity, "find_taken", gone)
    answer = client.post(
        path, json={"name": "n", "external_id": "7"} | ({"level": "x"} if kind is Course else {})
    )
    assert problem(answer) == (409, "external-id-taken")
    assert answer.json["errors"] == [STUDENTS_ID]


def test_without_a_clash_nothing_is_looked_up(client, make, statements):
    with statements() as sent:
        assert (
            client.post(
                "/students", json={"name": "B", "email": "a@x.edu", "external_id": "1"}
            ).status_code
            == 201
        )
    assert [one for one in sent if "SELECT" in one] == []
