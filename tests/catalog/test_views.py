"""The catalog over HTTP."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from course_management.db.transaction import transaction
from course_management.history.models import EnrollmentEvent
from tests.conftest import bearer
from tests.web.problems import problem

SCOPES = ("courses:write", "enrollments:write")
ENTRY = {"code": "CS 225", "title": "Data Structures", "credits_min": 4}


@pytest.fixture
def entry(client):
    return client.post("/catalog", json=ENTRY).json


def test_an_entry_is_created_read_and_listed(client):
    body = ENTRY | {
        "credits_max": 4.5,
        "prerequisites": {"any": [{"course": "CS 173", "min_grade": "C"}, {"text": "consent"}]},
        "excludes": ["CS 277"],
        "same_as": [],
        "max_attempts": 2,
    }
    made = client.post("/catalog", json=body)
    assert (made.status_code, made.headers["Location"]) == (201, "/api/v1/catalog/CS%20225")
    assert {name: made.json[name] for name in body} == body
    assert made.json["warnings"] == [
        "No catalog entry has the code CS 173.",
        "No catalog entry has the code CS 277.",
    ]
    shown = {name: value for name, value in made.json.items() if name != "warnings"}
    for address in ("/catalog/CS%20225", "/catalog/cs%20225"):
        read = client.get(address)
        assert (read.json, read.headers["ETag"]) == (shown, made.headers["ETag"])
    assert client.get("/catalog").json == [shown]


def test_credits_are_those_of_the_least_by_default(client, entry):
    assert (entry["credits_min"], entry["credits_max"]) == (4, 4)
    zero = client.post("/catalog", json=ENTRY | {"code": "CS 1", "credits_min": 0}).json
    assert (zero["credits_min"], zero["credits_max"]) == (0, 0)


def test_attempts_are_a_whole_number_from_1_to_99(client, entry):
    """3.0 is a whole number (JSON Schema 2020-12, section 6.1.1)."""
    for value, kept in ((1, 1), (99, 99), (3.0, 3), (None, None)):
        changed = client.patch("/catalog/CS%20225", json={"max_attempts": value})
        assert (changed.status_code, changed.json["max_attempts"]) == (200, kept)
    for value in (0, 100, 1.5, "1", True, []):
        refused = client.patch("/catalog/CS%20225", json={"max_attempts": value})
        assert problem(refused) == (422, "invalid"), value


def test_lists_by_code_and_title(client, entry):
    other = client.post("/catalog", json=ENTRY | {"code": "MATH 241", "title": "Calculus"}).json
    for query, found in (
        ("q=struct", [entry]),
        ("q=math", [other]),
        ("code=math%20241", [other]),
        ("sort=-code", [other, entry]),
        ("sort=title", [other, entry]),
        ("q=50%25", []),
    ):
        assert client.get(f"/catalog?{query}").json == found, query


def test_codes_are_unique_ignoring_case(client, entry):
    refused = client.post("/catalog", json=ENTRY | {"code": "cs 225"})
    assert problem(refused) == (409, "catalog-code-taken")
    assert refused.json["errors"][0]["id"] == entry["id"]


def test_a_change_keeps_the_other_fields(client, entry):
    changed = client.patch("/catalog/CS%20225", json={"title": "Trees", "same_as": ["ECE 225"]})
    assert (changed.status_code, changed.json["version"]) == (200, 2)
    assert (changed.json["title"], changed.json["credits_min"]) == ("Trees", 4)
    stale = client.patch(
        "/catalog/CS%20225", json={"title": "x"}, headers={"If-Match": f'"{entry["id"]}-1"'}
    )
    assert problem(stale) == (412, "stale")
    back = client.put("/catalog/CS%20225", json=changed.json)
    assert (back.status_code, back.json["version"]) == (200, 2)
    renamed = client.patch("/catalog/CS%20225", json={"code": "CS 226"})
    assert renamed.json["code"] == "CS 226"
    assert problem(client.get("/catalog/CS%20225")) == (404, "catalog-entry-not-found")


def test_a_grade_that_the_school_does_not_have_is_a_warning(client, entry):
    needed = [{"course": "CS 225", "min_grade": grade} for grade in ("C", "c", "c")]
    body = ENTRY | {"code": "CS 374", "prerequisites": {"any": needed}}
    assert client.post("/catalog", json=body).json["warnings"] == [
        "The school has no grade c: nobody meets a condition with it."
    ]


def test_prerequisites_in_a_circle_are_a_warning(client):
    for code, needed in (("A 1", "B 1"), ("B 1", "C 1")):
        client.post("/catalog", json=ENTRY | {"code": code, "prerequisites": {"course": needed}})
    body = ENTRY | {"code": "C 1", "prerequisites": {"all": [{"course": "a 1"}]}}
    assert client.post("/catalog", json=body).json["warnings"] == [
        "The prerequisites form a circle: C 1 -> a 1 -> B 1 -> C 1."
    ]


def test_an_entry_with_courses_is_not_deleted(client, entry, term):
    body = {"name": "Trees", "level": "x", "term": term["code"], "catalog_code": "CS 225"}
    course = client.post("/courses", json=body).json
    assert problem(client.delete("/catalog/CS%20225")) == (409, "catalog-entry-has-courses")
    client.delete(f"/courses/{course['id']}")
    assert client.delete("/catalog/CS%20225").status_code == 204
    assert problem(client.delete("/catalog/CS%20225")) == (404, "catalog-entry-not-found")


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"code": "CS/225"}, "/code"),
        ({"code": ".."}, "/code"),
        ({"credits_min": 5, "credits_max": 4}, "/credits_max"),
        ({"credits_min": "4"}, "/credits_min"),
        ({"credits_min": 1.005}, "/credits_min"),
        ({"prerequisites": {"course": "CS 173", "min_grad": "C"}}, "/prerequisites/min_grad"),
        ({"prerequisites": {"all": []}}, "/prerequisites/all"),
        ({"prerequisites": 5}, "/prerequisites"),
        ({"excludes": ["CS 1", "cs 225"]}, "/excludes/1"),
        ({"same_as": "CS 1"}, "/same_as"),
        ({"max_attempts": 0}, "/max_attempts"),
        ({"unknown": 1}, "/unknown"),
    ],
)
def test_faults_name_their_field(client, fields, pointer):
    refused = client.post("/catalog", json=ENTRY | fields)
    assert problem(refused) == (422, "invalid")
    assert [fault["pointer"] for fault in refused.json["errors"]] == [pointer]


def test_the_history_tells_of_the_catalog(app, client, entry):
    client.patch("/catalog/CS%20225", json={"title": "Trees"})
    client.delete("/catalog/CS%20225")
    with app.app_context(), transaction(writing=False) as session:
        events = session.scalars(sa.select(EnrollmentEvent).order_by(EnrollmentEvent.id)).all()
    assert [(one.type, one.data) for one in events] == [
        (f"catalog.{what}", {"code": "CS 225"}) for what in ("created", "changed", "deleted")
    ]


def test_students_read_the_catalog_and_staff_write_it(guarded, new_key, make, client, issuer, term):
    """With AUTH=required. A clash names the other entry only to those who may read it."""
    make.student(external_id="100")
    app = guarded.test_client()
    student = bearer(issuer.token(number="100"))
    staff, clerk = (bearer(new_key(scope, name=scope)) for scope in SCOPES)
    assert app.post("/catalog", json=ENTRY, headers=staff).status_code == 201
    course = {"name": "A", "level": "x", "term": term["code"], "catalog_code": "cs 225"}
    made = app.post("/courses", json=course, headers=staff)
    assert (made.status_code, made.json["catalog_code"]) == (201, "CS 225")
    for path in ("/catalog", "/catalog/cs%20225", f"/courses?term={term['code']}"):
        assert app.get(path, headers=student).status_code == 200
        assert problem(app.get(path, headers=clerk)) == (403, "scope-missing")
    for headers in (student, clerk):
        for method, path, body in (
            ("POST", "/catalog", ENTRY),
            ("PATCH", "/catalog/CS%20225", {"title": "x"}),
            ("DELETE", "/catalog/CS%20225", None),
            ("PATCH", f"/courses/{made.json['id']}", {"term": None}),
        ):
            answer = app.open(path, method=method, json=body, headers=headers)
            assert problem(answer) == (403, "scope-missing"), (method, path)
    refused = app.delete("/catalog/CS%20225", headers=staff)
    assert problem(refused) == (409, "catalog-entry-has-courses")


def test_a_student_enrolls_themselves_by_the_rules(guarded, make, client, issuer, term):
    me = make.student(external_id="100")["id"]
    app, headers = guarded.test_client(), bearer(issuer.token(number="100"))
    course = make.course(term=term["code"])["id"]
    body = {"course_ids": [course]}
    refused = app.post(f"/students/{me}/enroll", json=body, headers=headers)
    assert problem(refused) == (409, "rules-broken")
    assert [one["rule"] for one in refused.json["broken"]] == ["registration-not-open"]
    window = {"opens_at": "1900-01-01T00:00:00Z", "closes_at": "2199-01-01T00:00:00Z"}
    client.put(f"/terms/{term['code']}/windows", json={"windows": [window]})
    assert app.post(f"/students/{me}/enroll", json=body, headers=headers).status_code == 201
    (shown,) = app.get(f"/students/{me}/courses", headers=headers).json
    assert (shown["term"], shown["credits"]) == (term["code"], 0)
