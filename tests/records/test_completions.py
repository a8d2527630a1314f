"""Completions: what a student has done, tried or begun."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from course_management.db.transaction import transaction
from course_management.rules.facts import Grades
from tests.conftest import bearer
from tests.web.problems import problem

COURSE = {"catalog_code": "CS 225", "kind": "course", "grade": "B+", "credits": 3}
TEST = {"test": "ALEKS", "kind": "test", "score": 71.5}


@pytest.fixture
def path(student):
    """The address of the completions of a student."""
    return f"/students/{student}/completions"


def test_post_returns_the_address_and_the_tag(client, path, student):
    sent = {**COURSE, "term": " 2026-fall ", "external_id": "T-1"}
    answer = client.post(f"/api/v1{path}", json=sent)
    made = answer.json
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/api/v1{path}/{made['id']}"
    assert answer.headers["ETag"] == f'"{made["id"]}-1"'
    assert {**sent, "term": "2026-fall", "test": None, "score": None}.items() <= made.items()
    assert (made["student_id"], made["version"]) == (student, 1)
    read = client.get(answer.headers["Location"])
    assert (read.json, read.headers["ETag"]) == (made, answer.headers["ETag"])
    assert client.get(path).json == [made]


@pytest.mark.parametrize(
    "sent",
    [
        COURSE,
        TEST,
        {"catalog_code": "CS 1", "kind": "transfer"},
        {"catalog_code": "CS 1", "kind": "in-progress", "credits": 99.99},
        {"catalog_code": "CS 1", "kind": "withdrawn", "grade": "W", "credits": 0.29},
        {"test": "T", "kind": "test", "score": 99999.99, "credits": 1.5},
        {**COURSE, "test": None, "score": None, "term": None, "external_id": None},
    ],
)
def test_the_kinds_of_completions(client, path, sent):
    made = client.post(path, json=sent)
    assert made.status_code == 201, made.text
    assert {"credits": 0, **sent}.items() <= made.json.items()
    assert client.get(f"{path}/{made.json['id']}").json == client.get(path).json[0] == made.json


@pytest.mark.parametrize(
    ("sent", "pointers"),
    [
        ({**COURSE, "test": "T"}, {"", "/kind"}),
        ({"kind": "course"}, {""}),
        ({"kind": "test"}, {"", "/kind"}),
        ({**COURSE, "kind": "test"}, {"/kind", "/grade"}),
        ({**TEST, "kind": "course"}, {"/kind", "/score"}),
        ({**COURSE, "kind": "in-progress"}, {"/grade"}),
        ({**COURSE, "score": 1}, {"/score"}),
        ({**TEST, "grade": "A"}, {"/grade"}),
        ({**COURSE, "grade": "a"}, {"/grade"}),
        ({**COURSE, "grade": "Z"}, {"/grade"}),
        ({**COURSE, "kind": "audit"}, {"/kind"}),
        ({"catalog_code": "CS 1"}, {"/kind"}),
        ({**COURSE, "credits": 100}, {"/credits"}),
        ({**COURSE, "credits": -1}, {"/credits"}),
        ({**COURSE, "credits": 1.005}, {"/credits"}),
        ({**COURSE, "credits": "3"}, {"/credits"}),
        ({**COURSE, "credits": None}, {"/credits"}),
        ({**COURSE, "credits": True}, {"/credits"}),
        ({**TEST, "score": 100000}, {"/score"}),
        ({**COURSE, "catalog_code": " "}, {"/catalog_code"}),
        ({**COURSE, "term": "x" * 33}, {"/term"}),
        ({**COURSE, "id": 1}, {"/id"}),
    ],
)
def test_invalid_completions_are_refused(client, path, sent, pointers):
    answer = client.post(path, json=sent)
    assert problem(answer) == (422, "invalid")
    assert {fault["pointer"] for fault in answer.json["errors"]} == pointers
    assert client.get(path).json == []


@pytest.mark.parametrize("method", ["put", "patch"])
def test_a_change(client, path, method):
    made = client.post(path, json=COURSE).json
    one = f"{path}/{made['id']}"
    change = getattr(client, method)
    changed = change(one, json={**made, "grade": "A", "credits": 4.5})
    assert (changed.json["grade"], changed.json["credits"]) == ("A", 4.5)
    assert changed.headers["ETag"] == f'"{made["id"]}-2"'
    assert change(one, json={"grade": "A"}).json == changed.json
    into_test = {"catalog_code": None, "test": "ALEKS", "kind": "test", "grade": None}
    assert change(one, json=into_test).json["test"] == "ALEKS"
    for refused, pointer in (({"grade": "A"}, "/grade"), ({"kind": "course"}, "/kind")):
        answer = change(one, json=refused)
        assert problem(answer) == (422, "invalid")
        assert answer.json["errors"][0]["pointer"] == pointer
    assert problem(change(one, json={"id": made["id"] + 1}))[0] == 422
    stale = change(one, json={"grade": None}, headers={"If-Match": f'"{made["id"]}-1"'})
    assert problem(stale) == (412, "stale")


def test_a_deletion(client, path):
    one = f"{path}/{client.post(path, json=COURSE).json['id']}"
    assert problem(client.delete(one, headers={"If-Match": '"0"'})) == (412, "stale")
    assert client.delete(one).status_code == 204
    for answer in (client.get(one), client.delete(one), client.patch(one, json={})):
        assert problem(answer) == (404, "completion-not-found")


def test_the_external_id_is_unique_among_completions(client, path, make):
    first = client.post(path, json={**COURSE, "external_id": "100"}).json  # a student has it too
    other = f"/students/{make.student()['id']}/completions"
    second = client.post(other, json={**TEST, "external_id": "2"}).json
    for answer in (
        client.post(other, json={**TEST, "external_id": "100"}),
        client.patch(f"{other}/{second['id']}", json={"external_id": "100"}),
    ):
        assert problem(answer) == (409, "external-id-taken")
        assert answer.json["errors"][0]["id"] == first["id"]
    assert client.patch(f"{other}/{second['id']}", json={"external_id": "2"}).json == second


def test_pages(client, path, make):
    ids = [client.post(path, json={**COURSE, "credits": i}).json["id"] for i in range(5)]
    client.post(f"/students/{make.student()['id']}/completions", json=TEST)
    first = client.get(f"{path}?limit=2")
    rest = client.get(first.headers["Link"][1:].partition(">")[0])
    assert [one["id"] for one in first.json + rest.json] == ids[:4]


def test_a_completion_belongs_to_its_student(client, path, make):
    made = client.post(path, json=COURSE).json
    other = make.student()["id"]
    for method in ("get", "delete"):
        answer = getattr(client, method)(f"/students/{other}/completions/{made['id']}")
        assert problem(answer) == (404, "completion-not-found")
    for answer in (
        client.get("/students/999999/completions"),
        client.post("/students/999999/completions", json=COURSE),
        client.get(f"/students/999999/completions/{made['id']}"),
    ):
        assert problem(answer) == (404, "student-not-found")


def test_deleting_a_student_deletes_their_completions(client, path, student, events):
    client.post(path, json={**COURSE, "external_id": "T-1"})
    assert client.delete(f"/students/{student}").status_code == 204
    assert problem(client.get(path)) == (404, "student-not-found")
    assert [event["type"] for event in events("completion")] == ["completion.created"]


def test_the_history_has_ids_and_codes(client, path, student, events, lines):
    one = f"{path}/{client.post(path, json=COURSE).json['id']}"
    client.patch(one, json={"grade": "A"})
    client.patch(one, json={"grade": "A"})
    client.delete(one)
    told = events("completion")
    kinds = ["completion.created", "completion.changed", "completion.deleted"]
    assert [event["type"] for event in told] == kinds
    for event in told:
        assert event["student_id"] == student
        assert event["data"] == {
            "completion_id": int(one.rpartition("/")[2]),
            "kind": "course",
            "catalog_code": "CS 225",
            "test": None,
        }
    logged = [line for line in lines() if line["event"].startswith("completion")]
    assert [line["event"] for line in logged] == [
        "completion created",
        "completion changed",
        "completion deleted",
    ]
    assert {line["student_id"] for line in logged} == {student}


def test_the_codes_are_kept_with_keys_that_ignore_case(app, client, path):
    client.post(path, json={**COURSE, "catalog_code": "Straße 1"})
    client.post(path, json=TEST)
    with app.app_context(), transaction(writing=False) as session:
        keys = session.execute(
            sa.text("SELECT catalog_key, test_key FROM completions ORDER BY id")
        ).all()
    assert keys == [("strasse 1", None), (None, "aleks")]


def test_the_grades_are_a_setting(app, make_app, path):
    url = app.config["SQLALCHEMY_DATABASE_URI"].render_as_string(hide_password=False)
    client = make_app(url, grades=Grades(("1", "2", "5"), 2)).test_client()
    assert client.post(path, json={**COURSE, "grade": "2"}).json["grade"] == "2"
    refused = client.post(path, json={**COURSE, "grade": "A"})
    assert refused.json["errors"] == [{"pointer": "/grade", "detail": "Must be one of: 1, 2, 5."}]
    schema = client.get("/openapi.json").json["components"]["schemas"]["CompletionIn"]
    assert schema["properties"]["grade"]["enum"] == ["1", "2", "5", None]


def test_students_read_their_own_completions(guarded, client, path, issuer, make):
    made = client.post(path, json=COURSE).json
    me, other = (bearer(issuer.token(number=number)) for number in ("100", "200"))
    make.student(external_id="200")
    closed = guarded.test_client()
    assert closed.get(path, headers=me).json == [made]
    assert closed.get(f"{path}/{made['id']}", headers=me).json == made
    assert problem(closed.get(path, headers=other)) == (403, "scope-missing")
    assert problem(closed.post(path, json=COURSE, headers=me)) == (403, "scope-missing")


def test_a_completion_read_again_is_not_sent_again(client, path):
    made = client.post(path, json=COURSE)
    again = client.get(made.headers["Location"], headers={"If-None-Match": made.headers["ETag"]})
    assert again.status_code == 304
