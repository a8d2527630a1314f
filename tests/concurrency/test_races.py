"""Requests that arrive together, sent to the real server with its workers and threads."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest


@pytest.fixture
def together(gunicorn):
    """Sends requests at the same moment; returns their answers in the order given."""

    def go(*requests):
        gate = threading.Barrier(len(requests))

        def one(request):
            method, path, body, *headers = request
            gate.wait()
            return gunicorn.request(method, path, body, *headers)

        with ThreadPoolExecutor(len(requests)) as pool:
            return list(pool.map(one, requests))

    return go


def statuses(answers):
    return sorted(answer.status for answer in answers)


def test_edits_with_if_match_never_lose_an_update(client, make, together):
    """Two mechanisms ensure this: the lock on the row, and the version in the UPDATE."""
    student = make.student()
    path = f"/students/{student['id']}"
    for _ in range(10):
        tag = client.get(path).headers["ETag"]
        answers = together(
            *[("PATCH", path, {"name": f"N {tag} {i}"}, {"If-Match": tag}) for i in range(4)]
        )
        assert statuses(answers) == [200, 412, 412, 412]
        winner = next(answer for answer in answers if answer.status == 200)
        assert client.get(path).json == winner.json
    assert client.get(path).json["version"] == 11


def test_edits_without_if_match_all_succeed(client, make, together):
    """Fails without `for_update`: some edits get 412 although they have no If-Match."""
    course = make.course()
    path = f"/courses/{course['id']}"
    for i in range(10):
        answers = together(*[("PATCH", path, {"level": f"L{i}{j}"}) for j in range(4)])
        assert statuses(answers) == [200] * 4
    assert client.get(path).json["version"] == 41


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/courses", {"name": "Logic", "level": "x"}, "course-name-taken"),
        ("/students", {"name": "Ada", "email": "ada@x.edu"}, "student-email-taken"),
        ("/students", {"name": "Ada", "external_id": "7"}, "external-id-taken"),
    ],
)
def test_of_simultaneous_requests_one_gets_a_unique_value(client, together, path, body, code):
    for _ in range(5):
        answers = together(*[("POST", path, body)] * 5)
        assert statuses(answers) == [201, 409, 409, 409, 409]
        assert {answer.json["type"] for answer in answers if answer.status == 409} == {
            f"/problems/{code}"
        }
        (made,) = client.get(path).json
        client.delete(f"{path}/{made['id']}")


def test_simultaneous_puts_do_not_mix(client, make, together):
    """Fails on PostgreSQL without the lock of `lock_students`: one request gets 500, because it
    inserts a row twice.
    """
    student = make.student()["id"]
    courses = [make.course()["id"] for _ in range(8)]
    sets = [courses[:4], courses[4:], courses[2:6], []]
    for _ in range(15):
        answers = together(
            *[("PUT", f"/students/{student}/enroll", {"course_ids": ids}) for ids in sets]
        )
        assert statuses(answers) == [200] * 4
        assert [course["id"] for course in client.get(f"/students/{student}/courses").json] in sets


def test_a_course_deleted_while_students_enroll(client, make, together):
    students = [make.student()["id"] for _ in range(4)]
    for _ in range(15):
        course = make.course()["id"]
        enrolling = [
            ("POST", f"/students/{student}/enroll", {"course_ids": [course]})
            for student in students
        ]
        *enrolled, deleted = together(*enrolling, ("DELETE", f"/courses/{course}", None))
        assert {answer.status for answer in enrolled} <= {201, 404}
        there = client.get(f"/courses/{course}").status_code == 200
        assert deleted.status == (409 if there else 204)
        roster = client.get(f"/courses/{course}/students").json if there else []
        assert len(roster) == statuses(enrolled).count(201)


def test_a_student_deleted_while_they_enroll(client, make, together):
    """Fails on PostgreSQL without the lock of `lock_students`: a request gets 500 from a foreign
    key.
    """
    courses = [make.course()["id"] for _ in range(3)]
    for _ in range(15):
        student, other = make.student()["id"], make.student()["id"]
        many = [
            ("POST", f"/courses/{c}/students", {"student_ids": [other, student]}) for c in courses
        ]
        answers = together(
            *many,
            ("POST", f"/students/{student}/enroll", {"course_ids": courses}),
            ("DELETE", f"/students/{student}", None),
        )
        assert {answer.status for answer in answers} <= {200, 201, 204, 404}
        assert client.get(f"/students/{student}").status_code == 404
        for course in courses:
            assert student not in [s["id"] for s in client.get(f"/courses/{course}/students").json]


def test_rosters_filled_and_emptied_in_opposite_order(client, make, together):
    students = make.students(40)
    a, b = make.course()["id"], make.course()["id"]
    for _ in range(5):
        answers = together(
            ("POST", f"/courses/{a}/students", {"student_ids": students}),
            ("POST", f"/courses/{b}/students", {"student_ids": students[::-1]}),
            ("POST", f"/courses/{a}/students", {"student_ids": students[::-1]}),
            ("POST", f"/courses/{b}/students", {"student_ids": students}),
        )
        assert statuses(answers) == [200, 200, 201, 201]
        answers = together(
            ("POST", f"/courses/{a}/drop", {"student_ids": students}),
            ("POST", f"/courses/{a}/drop", {"student_ids": students[::-1]}),
            ("POST", f"/courses/{b}/drop", {"student_ids": students[::-1]}),
        )
        assert statuses(answers) == [200, 200, 404]


def test_terms_that_become_parts_of_each_other(client, make, together):
    """Fails if only one of the two terms is locked."""
    for i in range(10):
        one, other = (make.term(code=f"{name}{i}")["code"] for name in "AB")
        answers = together(
            ("PATCH", f"/terms/{one}", {"parent": other, "time_zone": None}),
            ("PATCH", f"/terms/{other}", {"parent": one, "time_zone": None}),
        )
        assert statuses(answers) == [200, 422]
        parents = {client.get(f"/terms/{code}").json["parent"] for code in (one, other)}
        assert len(parents - {None}) == 1


def test_a_term_that_gets_a_part_while_it_becomes_one(client, make, together):
    """Fails if the parent of a new part is not locked."""
    make.term(code="F")
    dates = {"name": "Part", "starts_on": "2026-08-24", "ends_on": "2026-12-18"}
    for i in range(10):
        make.term(code=f"A{i}")
        answers = together(
            ("POST", "/terms", {"code": f"B{i}", "parent": f"A{i}", **dates}),
            ("PATCH", f"/terms/A{i}", {"parent": "F", "time_zone": None}),
        )
        assert statuses(answers) in ([200, 422], [201, 422])


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        (
            "/terms",
            {
                "time_zone": "UTC",
                "starts_on": "2026-08-24",
                "ends_on": "2026-12-18",
                "name": "Fall",
            },
            "term",
        ),
        ("/catalog", {"title": "Trees", "credits_min": 3}, "catalog_code"),
    ],
)
def test_a_code_deleted_while_courses_get_it(client, make, together, path, body, field):
    """Either the deletion is refused, or no course has the code afterwards."""
    other = {} if field == "term" else {"term": make.term()["code"]}
    course = make.course(**other)["id"]
    for i in range(10):
        code = f"X{i}"
        assert client.post(path, json=body | {"code": code}).status_code == 201
        fields = other | {field: code}
        created, changed, deleted = together(
            ("POST", "/courses", {"name": f"{field} {i}", "level": "x"} | fields),
            ("PATCH", f"/courses/{course}", {field: code}),
            ("DELETE", f"{path}/{code}", None),
        )
        there = client.get(f"{path}/{code}").status_code == 200
        assert deleted.status == (409 if there else 204)
        assert created.status in (201, 404)
        assert changed.status in (200, 404)
        taken = [one.status for one in (created, changed)].count(404) < 2
        assert there == taken
        assert len(client.get(f"/courses?{field}={code}").json) == sum(
            one.status < 300 for one in (created, changed)
        )
        client.patch(f"/courses/{course}", json={field: None})


def test_a_course_gets_a_term_while_students_enroll(client, make, together):
    """The term has no windows. The rules judge a request that follows the edit, also if the
    connection has read the course as one without a capacity and a term.
    """
    term = make.term()["code"]
    students = [make.student()["id"] for _ in range(4)]
    for _ in range(8):
        course = make.course()["id"]
        asking = [("POST", f"/students/{s}/enroll", {"course_ids": [course]}) for s in students]
        edit = ("PATCH", f"/courses/{course}", {"term": term})
        *enrolled, edited = together(*asking, edit)
        assert edited.status == 200
        for answer in enrolled:
            assert answer.status == 201 or answer.json["type"] == "/problems/rules-broken"
        late = together(*asking)
        for before, after in zip(enrolled, late, strict=True):
            assert after.status == (200 if before.status == 201 else 409)
        roster = client.get(f"/courses/{course}/students").json
        assert len(roster) == statuses(enrolled).count(201)
