"""Courses of a term."""

from __future__ import annotations

import pytest

from tests.web.problems import problem

COURSE = {"name": "Trees, section A", "level": "sophomore"}
MEETING = {
    "days": ["mon", "wed"],
    "starts": "09:30",
    "ends": "10:45",
    "first_on": None,
    "last_on": None,
    "location": "Hall 5",
}
FIELDS = {
    "component": "lecture",
    "credits_min": 3,
    "credits_max": 4.5,
    "meetings": [MEETING],
    "open_to": {"any": [{"group": "program:cs"}, {"group": "standing:senior"}]},
    "consent": "instructor",
    "contact": "CS advising",
}


@pytest.fixture
def entry(client):
    body = {"code": "CS 225", "title": "Data Structures", "credits_min": 4}
    return client.post("/catalog", json=body).json


def test_a_course_of_a_term_has_more_fields(client, term, entry):
    fields = FIELDS | {"term": term["code"], "catalog_code": "CS 225"}
    made = client.post("/courses", json=COURSE | fields)
    assert made.status_code == 201
    assert {name: made.json[name] for name in fields} == fields
    assert client.get(f"/courses/{made.json['id']}").json == made.json
    other = client.post("/courses", json=COURSE | {"name": "Logic"}).json
    assert not fields.keys() & other.keys()
    assert client.get("/courses").json == [made.json, other]
    student = client.post("/students", json={"name": "Ada"}).json["id"]
    client.post(f"/students/{student}/enroll", json={"course_ids": [other["id"]]})
    (taken,) = client.get(f"/students/{student}/courses").json
    assert not fields.keys() & taken.keys()


def test_codes_are_found_ignoring_case_and_shown_as_they_are(client, term, entry):
    body = COURSE | {"term": term["code"].lower(), "catalog_code": "cs 225"}
    made = client.post("/courses", json=body).json
    assert (made["term"], made["catalog_code"]) == (term["code"], "CS 225")
    client.patch("/catalog/cs%20225", json={"code": "CS 226"})
    client.patch(f"/terms/{term['code']}", json={"code": "T2"})
    shown = client.get(f"/courses/{made['id']}").json
    assert (shown["term"], shown["catalog_code"]) == ("T2", "CS 226")


def test_unknown_codes_are_named(client, term):
    for name, code in (("term", "term-not-found"), ("catalog_code", "catalog-entry-not-found")):
        body = COURSE | {"term": term["code"], name: "nope"}
        refused = client.post("/courses", json=body)
        assert problem(refused) == (404, code)
        assert refused.json["missing"] == ["nope"]


def test_the_fields_need_a_term(client, term):
    refused = client.post("/courses", json=COURSE | {"component": "lab", "contact": "Ada"})
    assert problem(refused) == (422, "invalid")
    assert [fault["pointer"] for fault in refused.json["errors"]] == ["/component", "/contact"]
    made = client.post("/courses", json=COURSE | {"term": term["code"], "component": "lab"}).json
    path = f"/courses/{made['id']}"
    refused = client.patch(path, json={"term": None})
    assert [fault["pointer"] for fault in refused.json["errors"]] == ["/component"]
    left = client.patch(path, json={"term": None, "component": None})
    assert left.status_code == 200
    assert not {"term", "component"} & left.json.keys()


def test_the_most_credits_are_not_below_those_of_the_entry(client, term, entry):
    """A course has the `credits_min` of its entry, unless it has its own."""
    body = COURSE | {"term": term["code"], "catalog_code": "CS 225", "credits_max": 3}
    refused = client.post("/courses", json=body)
    assert problem(refused) == (422, "invalid")
    (fault,) = refused.json["errors"]
    assert fault["pointer"] == "/credits_max"
    assert client.post("/courses", json=body | {"credits_min": 2}).status_code == 201
    made = client.post("/courses", json=body | {"name": "B", "credits_max": 4}).json
    student = client.post("/students", json={"name": "Ada"}).json["id"]
    window = {"opens_at": "1900-01-01T00:00:00Z", "closes_at": "2199-01-01T00:00:00Z"}
    client.put(f"/terms/{term['code']}/windows", json={"windows": [window]})
    client.patch("/catalog/CS%20225", json={"credits_min": 6, "credits_max": 6})
    path = f"/students/{student}/courses"
    assert client.post(path, json={"course_id": made["id"]}).json["credits"] == 4


def test_a_change_keeps_the_other_fields(client, term):
    made = client.post("/courses", json=COURSE | FIELDS | {"term": term["code"]}).json
    path = f"/courses/{made['id']}"
    changed = client.patch(path, json={"consent": None, "meetings": [], "credits_min": 0}).json
    assert changed["version"] == 2
    assert {name: changed.get(name) for name in FIELDS} == FIELDS | {
        "consent": None,
        "meetings": None,
        "credits_min": 0,
    }
    assert client.put(path, json=changed).json == changed
    assert client.get(path).json == changed


def test_lists_by_term_with_its_parts_and_by_entry(client, term, part, entry):
    names = {}
    for name, fields in (
        ("whole", {"term": term["code"]}),
        ("part", {"term": part["code"], "catalog_code": "CS 225"}),
        ("none", {}),
    ):
        names[name] = client.post("/courses", json={"name": name, "level": "x"} | fields).json
    for query, found in (
        (f"term={term['code'].lower()}", ["whole", "part"]),
        (f"term={part['code']}", ["part"]),
        ("catalog_code=cs%20225", ["part"]),
        (f"term={term['code']}&catalog_code=CS%20225&status=open", ["part"]),
        (f"term={term['code']}&sort=-name&limit=1", ["whole"]),
        ("term=nope", []),
    ):
        assert client.get(f"/courses?{query}").json == [names[name] for name in found], query


def test_a_term_with_courses_is_not_deleted(client, term):
    made = client.post("/courses", json=COURSE | {"term": term["code"]}).json
    assert problem(client.delete(f"/terms/{term['code']}")) == (409, "term-has-courses")
    client.delete(f"/courses/{made['id']}")
    assert client.delete(f"/terms/{term['code']}").status_code == 204


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"component": "Lab"}, "/component"),
        ({"component": "lab-"}, "/component"),
        ({"credits_min": 4, "credits_max": 3}, "/credits_max"),
        ({"credits_max": 100}, "/credits_max"),
        ({"consent": "dean"}, "/consent"),
        ({"open_to": {"course": "CS 1"}}, "/open_to/course"),
        ({"meetings": [MEETING | {"days": []}]}, "/meetings/0/days"),
        ({"meetings": [MEETING | {"days": ["mon", "mon"]}]}, "/meetings/0/days"),
        ({"meetings": [MEETING | {"days": "mon"}]}, "/meetings/0/days"),
        ({"meetings": [MEETING | {"starts": "24:00"}]}, "/meetings/0/starts"),
        ({"meetings": [MEETING | {"ends": "9:30"}]}, "/meetings/0/ends"),
        ({"meetings": [MEETING | {"ends": "09:30"}]}, "/meetings/0/ends"),
        ({"meetings": [MEETING | {"first_on": "2026-02-30"}]}, "/meetings/0/first_on"),
        (
            {"meetings": [MEETING | {"first_on": "2026-02-03", "last_on": "2026-02-02"}]},
            "/meetings/0/last_on",
        ),
        ({"meetings": [MEETING] * 51}, "/meetings"),
        ({"meetings": [{}]}, None),
        ({"meetings": 5}, "/meetings"),
    ],
)
def test_faults_name_their_field(client, term, fields, pointer):
    refused = client.post("/courses", json=COURSE | {"term": term["code"]} | fields)
    assert problem(refused) == (422, "invalid")
    pointers = [fault["pointer"] for fault in refused.json["errors"]]
    assert pointers == (
        [pointer] if pointer else [f"/meetings/0/{n}" for n in ("days", "starts", "ends")]
    )
