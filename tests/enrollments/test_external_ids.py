"""Bodies that name courses and students by external id, wherever they may name them by id."""

from __future__ import annotations

import pytest

from tests.web.problems import problem

COURSES, STUDENTS = "course_external_ids", "student_external_ids"


@pytest.fixture
def world(make):
    """Ids by external id: students s1 to s3 and courses c1 to c3."""
    return {f"s{i}": make.student(external_id=f"s{i}")["id"] for i in (1, 2, 3)} | {
        f"c{i}": make.course(external_id=f"c{i}")["id"] for i in (1, 2, 3)
    }


def test_courses_of_a_student(client, world):
    path = f"/students/{world['s1']}/enroll"
    made = client.post(path, json={COURSES: [" c2 ", "c1", "c2"]})
    assert (made.status_code, made.json["added"]) == (201, [world["c2"], world["c1"]])
    replaced = client.put(path, json={COURSES: ["c3"]})
    assert (replaced.json["added"], sorted(replaced.json["removed"])) == (
        [world["c3"]],
        [world["c1"], world["c2"]],
    )
    assert client.put(path, json={COURSES: []}).json["removed"] == [world["c3"]]


def test_students_of_a_course(client, world):
    path, body = f"/courses/{world['c1']}", {STUDENTS: ["s2", "s1"]}
    ids = [world["s2"], world["s1"]]
    assert client.post(f"{path}/students", json=body).json["added"] == ids
    assert [one["student_id"] for one in client.post(f"{path}/eligibility", json=body).json] == ids
    moved = client.post(f"{path}/move", json={**body, "to": world["c2"]})
    assert sorted(moved.json["added"]) == sorted(ids)
    path = f"/courses/{world['c2']}"
    assert client.post(f"{path}/drop", json=body).json["removed"] == ids
    assert client.post(f"{path}/reinstate", json=body).json["added"] == ids
    assert client.post("/groups/a/add", json=body).json["changed"] == ids
    assert client.post("/groups/a/remove", json=body).json["changed"] == ids


ROUTES = [
    ("post", "/students/{s1}/enroll", COURSES),
    ("put", "/students/{s1}/enroll", COURSES),
    *(
        ("post", f"/courses/{{c1}}/{act}", STUDENTS)
        for act in ("students", "eligibility", "drop", "reinstate", "move")
    ),
    ("post", "/groups/a/add", STUDENTS),
    ("post", "/groups/a/remove", STUDENTS),
]


@pytest.mark.parametrize(("method", "path", "name"), ROUTES)
def test_every_unknown_external_id_is_listed(client, world, method, path, name):
    more = {"to": world["c2"]} if path.endswith("/move") else {}
    known = "c1" if name == COURSES else "s1"
    body = {name: ["x/1", known, "x2"], **more}
    answer = getattr(client, method)(path.format(**world), json=body)
    code = "course-not-found" if name == COURSES else "student-not-found"
    assert problem(answer) == (404, code)
    assert answer.json["missing"] == ["x/1", "x2"]


@pytest.mark.parametrize(("method", "path", "name"), ROUTES)
def test_a_body_names_rows_in_one_way(client, world, method, path, name):
    more = {"to": world["c2"]} if path.endswith("/move") else {}
    by_id = name.replace("external_", "")
    for given, pointers in (
        ({by_id: [1], name: ["x"]}, {f"/{by_id}"}),
        ({name: "x"}, {f"/{name}"}),
        ({name: ["x", 7, ""]}, {f"/{name}/1", f"/{name}/2"}),
        ({name: ["x"] * 1001}, {f"/{name}"}),
        ({}, {""} if more else {f"/{by_id}"}),
        ({name: None}, {""} if more else {f"/{by_id}"}),
    ):
        answer = getattr(client, method)(path.format(**world), json=given | more)
        assert problem(answer) == (422, "invalid"), given
        assert {fault["pointer"] for fault in answer.json["errors"]} == pointers, given


def test_refusals_point_at_the_external_id(client, make, world):
    make.course(external_id="full", capacity=0)
    body = {COURSES: ["c1", "c1", "full"]}
    answer = client.post(f"/students/{world['s1']}/enroll", json=body)
    assert problem(answer) == (409, "course-full")
    assert [one["pointer"] for one in answer.json["errors"]] == [f"/{COURSES}/1"]


@pytest.mark.fast_parts  # otherwise the pool may give the next request another connection
@pytest.mark.parametrize(("method", "path", "name"), ROUTES[:3])
def test_external_ids_cost_one_statement_more(client, make, world, statements, method, path, name):
    """The number does not depend on how many there are."""
    by_id, kind = name.replace("external_", ""), make.course if name == COURSES else make.student
    rows = [kind(external_id=f"n{i}") for i in range(60)]
    costs = []
    for few in (
        {by_id: [row["id"] for row in rows[:2]]},
        {name: [f"n{i}" for i in range(10, 12)]},
        {name: [f"n{i}" for i in range(20, 60)]},
    ):
        address = f"{path.format(**world)}?dry_run=true"
        getattr(client, method)(address, json=few)  # the process gets to know the courses
        with statements() as sent:
            answer = getattr(client, method)(address, json=few)
        assert answer.status_code in (200, 201)
        costs.append(len(sent))
    assert costs[1] - costs[0] == 1
    assert costs[1] == costs[2]
