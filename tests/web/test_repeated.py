"""Lists take `id=` and `external_id=` up to 200 times, and pages of 1,000 items."""

from __future__ import annotations

import pytest

from course_management.db.transaction import transaction
from course_management.students.models import Student
from tests.db.test_keyset import next_of, walk
from tests.web.problems import problem


def of(name, values):
    return "&".join(f"{name}={value}" for value in values)


@pytest.mark.parametrize("kind", ["student", "course"])
@pytest.mark.parametrize("sort", ["id", "-id", "name", "-created_at"])
def test_repeated_filters_find_the_rows_that_have_one_of_the_values(client, make, kind, sort):
    rows = [getattr(make, kind)(external_id=f"E-{i}", name=f"N {9 - i}") for i in range(6)]
    ids, path = [row["id"] for row in rows], f"/{kind}s?limit=2&sort={sort}&"
    whole = [row["id"] for row in client.get(f"/{kind}s?sort={sort}").json]
    for query, wanted in (
        (of("id", ids[1:5]), ids[1:5]),
        (of("id", [ids[4], ids[4], ids[0], 999_999]), [ids[0], ids[4]]),
        (of("external_id", ["E-0", "E-3", "E-5", "e-4", "none"]), [ids[0], ids[3], ids[5]]),
        (f"{of('id', ids[:3])}&{of('external_id', ['E-2', 'E-3'])}", ids[2:3]),
        (of("id", [9223372036854775807]), []),
    ):
        found = [row["id"] for row in walk(client, path + query)]
        assert found == [i for i in whole if i in wanted], query


def test_200_values_cost_one_statement(client, make, statements):
    student = make.student(external_id="last")["id"]
    course = make.course()["id"]
    client.post(f"/students/{student}/enroll", json={"course_ids": [course]})
    many = f"{of('external_id', [f'x-{i}' for i in range(199)])}&external_id=last"
    ids = of("id", [student, *range(10**6, 10**6 + 199)])
    for path in ("/students", f"/courses/{course}/students"):
        for query in (many, ids):
            with statements() as sent:
                assert [row["id"] for row in client.get(f"{path}?{query}").json] == [student]
            assert len(sent) == 1


def test_a_cursor_belongs_to_its_values(client, make):
    ids = [make.student()["id"] for _ in range(4)]
    link = next_of(client.get(f"/students?{of('id', ids[:3])}&limit=1"))
    assert [row["id"] for row in client.get(link).json] == ids[1:2]
    other = link.replace(f"id={ids[0]}&", f"id={ids[3]}&")
    assert problem(client.get(other)) == (422, "invalid")


def test_other_lists_take_ids_too(client, make):
    student, terms = make.student()["id"], [make.term()["id"] for _ in range(3)]
    entries = [
        client.post("/catalog", json={"code": f"C {i}", "title": "T", "credits_min": 1}).json["id"]
        for i in range(3)
    ]
    completions = f"/students/{student}/completions"
    done = [
        client.post(
            completions, json={"test": f"T {i}", "kind": "test", "external_id": f"D{i}"}
        ).json["id"]
        for i in range(3)
    ]
    for path, ids in (("/terms", terms), ("/catalog", entries), (completions, done)):
        found = client.get(f"{path}?{of('id', ids[1:])}").json
        assert [row["id"] for row in found] == ids[1:]
    found = client.get(f"{completions}?external_id=D0&external_id=D2").json
    assert [row["id"] for row in found] == [done[0], done[2]]


def test_a_page_has_up_to_1000_items(app, client):
    with app.app_context(), transaction(writing=True) as session:
        session.add_all(Student(name=f"S {i}") for i in range(1001))
    answer = client.get("/students?limit=1000")
    assert len(answer.json) == 1000
    assert len(client.get(next_of(answer)).json) == 1


def test_openapi_declares_lists_of_values(client):
    operations = client.get("/openapi.json").json["paths"]
    for path in ("/students", "/courses", "/courses/{course}/students"):
        parameters = {p["name"]: p for p in operations[path]["get"]["parameters"]}
        for name, item in (("id", "integer"), ("external_id", "string")):
            schema = parameters[name]["schema"]
            assert (schema["type"], schema["items"]["type"]) == ("array", item)
            assert (schema["minItems"], schema["maxItems"]) == (1, 200)
            assert parameters[name]["explode"]
        assert parameters["limit"]["schema"]["maximum"] == 1000
        assert parameters["limit"]["schema"]["default"] == 200
