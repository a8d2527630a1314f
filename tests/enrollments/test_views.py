"""Enrollments over HTTP."""

from __future__ import annotations

import pytest

from tests.web.problems import problem


@pytest.fixture
def student(make):
    return make.student()["id"]


@pytest.fixture
def courses(make):
    return [make.course()["id"] for _ in range(4)]


def taken(client, student):
    return [course["id"] for course in client.get(f"/students/{student}/courses").json]


def test_enrolling_twice_is_no_error(client, student, courses):
    a, b, c, _ = courses
    first = client.post(f"/students/{student}/enroll", json={"course_ids": [b, a, b]})
    assert (first.status_code, first.json) == (
        201,
        {"student_id": student, "added": [b, a], "kept": [], "removed": []},
    )
    second = client.post(f"/students/{student}/enroll", json={"course_ids": [c, a]})
    assert (second.status_code, second.json) == (
        201,
        {"student_id": student, "added": [c], "kept": [a], "removed": []},
    )
    third = client.post(f"/students/{student}/enroll", json={"course_ids": [a]})
    assert (third.status_code, third.json) == (
        200,
        {"student_id": student, "added": [], "kept": [a], "removed": []},
    )
    assert taken(client, student) == [a, b, c]


def test_an_unknown_course_changes_nothing(client, student, courses):
    for method in (client.post, client.put):
        answer = method(
            f"/students/{student}/enroll", json={"course_ids": [courses[0], 9999, 2**63 - 1]}
        )
        assert problem(answer) == (404, "course-not-found")
        assert answer.json["missing"] == [9999, 2**63 - 1]
    assert taken(client, student) == []


def test_put_replaces_all_courses(client, student, courses):
    a, b, c, d = courses
    client.post(f"/students/{student}/enroll", json={"course_ids": [a, b, c]})
    before = {
        course["id"]: course["enrolled_at"]
        for course in client.get(f"/students/{student}/courses").json
    }
    answer = client.put(f"/students/{student}/enroll", json={"course_ids": [d, b]})
    assert (answer.status_code, answer.json) == (
        200,
        {"student_id": student, "added": [d], "kept": [b], "removed": [a, c]},
    )
    after = {
        course["id"]: course["enrolled_at"]
        for course in client.get(f"/students/{student}/courses").json
    }
    assert list(after) == [b, d]
    assert after[b] == before[b]
    assert client.put(f"/students/{student}/enroll", json={"course_ids": []}).json["removed"] == [
        b,
        d,
    ]
    assert taken(client, student) == []


def test_put_with_an_unknown_course_drops_nothing(client, student, courses):
    client.post(f"/students/{student}/enroll", json={"course_ids": courses})
    assert problem(client.put(f"/students/{student}/enroll", json={"course_ids": [9999]})) == (
        404,
        "course-not-found",
    )
    assert taken(client, student) == courses


def test_one_enrollment_has_an_address_and_a_tag(client, student, courses):
    path = f"/students/{student}/courses/{courses[0]}"
    first = client.post(f"/students/{student}/courses", json={"course_id": courses[0]})
    assert (first.status_code, first.headers["Location"]) == (201, "/api/v1" + path)
    assert (first.json["student_id"], first.json["course_id"]) == (student, courses[0])
    again = client.post(f"/students/{student}/courses", json={"course_id": courses[0]})
    assert (again.status_code, again.json) == (200, first.json)
    read = client.get(path)
    assert (read.json, read.headers["ETag"]) == (first.json, first.headers["ETag"])
    assert client.get(path, headers={"If-None-Match": read.headers["ETag"]}).status_code == 304
    assert problem(client.delete(path, headers={"If-Match": '"1"'})) == (412, "stale")
    assert client.delete(path, headers={"If-Match": read.headers["ETag"]}).status_code == 204
    for method in (client.get, client.delete):
        assert problem(method(path)) == (404, "enrollment-not-found")


def test_missing_ids_are_named(client, student, courses):
    for path, code in (
        (f"/students/9999/courses/{courses[0]}", "student-not-found"),
        (f"/students/{student}/courses/9999", "course-not-found"),
        (f"/students/{student}/courses/abc", "course-not-found"),
        (f"/students/{student}/courses/{courses[0]}", "enrollment-not-found"),
    ):
        assert problem(client.get(path)) == (404, code)
        assert problem(client.delete(path)) == (404, code)
    assert problem(client.get("/students/9999/courses")) == (404, "student-not-found")
    for method in (client.post, client.put):
        assert problem(method("/students/9999/enroll", json={"course_ids": [courses[0]]})) == (
            404,
            "student-not-found",
        )
    assert problem(client.post("/students/9999/courses", json={"course_id": courses[0]})) == (
        404,
        "student-not-found",
    )
    assert problem(client.post(f"/students/{student}/courses", json={"course_id": 9999})) == (
        404,
        "course-not-found",
    )


def test_many_students_in_one_course(client, make, courses):
    a, b, c = (make.student()["id"] for _ in range(3))
    path = f"/courses/{courses[0]}/students"
    first = client.post(path, json={"student_ids": [b, a, b]})
    assert (first.status_code, first.json) == (
        201,
        {"course_id": courses[0], "added": [b, a], "kept": []},
    )
    second = client.post(path, json={"student_ids": [c, a]})
    assert (second.status_code, second.json) == (
        201,
        {"course_id": courses[0], "added": [c], "kept": [a]},
    )
    assert client.post(path, json={"student_ids": [c]}).status_code == 200
    assert [s["id"] for s in client.get(path).json] == [a, b, c]
    unknown = client.post(path, json={"student_ids": [a, 9999]})
    assert problem(unknown) == (404, "student-not-found")
    assert unknown.json["missing"] == [9999]


def test_many_students_are_dropped_all_or_none(client, make, courses):
    a, b, c = (make.student()["id"] for _ in range(3))
    path = f"/courses/{courses[0]}"
    client.post(f"{path}/students", json={"student_ids": [a, b]})
    absent = client.post(f"{path}/drop", json={"student_ids": [a, c]})
    assert problem(absent) == (404, "enrollment-not-found")
    assert absent.json["missing"] == [c]
    unknown = client.post(f"{path}/drop", json={"student_ids": [a, 9999]})
    assert problem(unknown) == (404, "student-not-found")
    assert unknown.json["missing"] == [9999]
    assert [s["id"] for s in client.get(f"{path}/students").json] == [a, b]
    answer = client.post(f"{path}/drop", json={"student_ids": [b, a, b]})
    assert (answer.status_code, answer.json) == (200, {"course_id": courses[0], "removed": [b, a]})
    assert client.get(f"{path}/students").json == []


def test_a_course_can_be_named_in_every_address(client, make, student):
    make.course(name="Input/Output")
    path = "/courses/input%2Foutput"
    assert client.post(f"{path}/students", json={"student_ids": [student]}).status_code == 201
    assert [s["id"] for s in client.get(f"{path}/students").json] == [student]
    assert client.post(f"{path}/drop", json={"student_ids": [student]}).status_code == 200
    for method, end in (("get", "students"), ("post", "students"), ("post", "drop")):
        body = {"json": {"student_ids": [student]}} if method == "post" else {}
        assert problem(getattr(client, method)(f"/courses/nowhere/{end}", **body)) == (
            404,
            "course-not-found",
        )


def test_a_roster_shows_each_student_with_the_date(client, make, student, courses):
    client.post(f"/students/{student}/courses", json={"course_id": courses[0]})
    enrolled_at = client.get(f"/students/{student}/courses/{courses[0]}").json["enrolled_at"]
    standing = {"enrolled_at": enrolled_at, "state": "enrolled", "position": None}
    assert client.get(f"/courses/{courses[0]}/students").json == [
        client.get(f"/students/{student}").json | standing
    ]
    course = client.get(f"/courses/{courses[0]}").json
    assert client.get(f"/students/{student}/courses").json == [course | standing]


def test_the_courses_of_a_student_are_filtered_and_sorted_like_courses(client, make, student):
    ids = [
        make.course(name=name, level=level)["id"]
        for name, level in (("b", "x"), ("c", "y"), ("a", "x"))
    ]
    make.course(name="d", level="x")
    client.post(f"/students/{student}/enroll", json={"course_ids": ids})

    def names(query: str) -> list[str]:
        return [
            course["name"] for course in client.get(f"/students/{student}/courses?{query}").json
        ]

    assert names("sort=-name") == ["c", "b", "a"]
    assert names("level=x") == ["b", "a"]
    assert names("q=C") == ["c"]
    assert names("level=x&sort=name&limit=1") == ["a"]


@pytest.mark.parametrize("count", [1, 1000])
@pytest.mark.parametrize("capacity", [None, 1000])
def test_a_thousand_students_cost_as_many_statements_as_one(
    client, make, statements, count, capacity
):
    course = make.course(capacity=capacity)["id"]
    ids = make.students(count)
    with statements() as sent:
        assert (
            client.post(f"/courses/{course}/students", json={"student_ids": ids}).json["added"]
            == ids
        )
    assert len(sent) <= 8, sent
    with statements() as sent:
        assert (
            client.post(f"/courses/{course}/drop", json={"student_ids": ids}).json["removed"] == ids
        )
    assert len(sent) <= 8, sent


@pytest.mark.parametrize("count", [1, 100])
@pytest.mark.parametrize("capacity", [None, 1])
def test_a_hundred_courses_cost_as_many_statements_as_one(
    client, make, statements, student, count, capacity
):
    ids = [make.course(capacity=capacity, waitlist_capacity=5)["id"] for _ in range(count)]
    with statements() as sent:
        assert (
            client.post(f"/students/{student}/enroll", json={"course_ids": ids}).json["added"]
            == ids
        )
    assert len(sent) <= 8, sent
    waiting = make.student()["id"]
    if capacity:
        with statements() as sent:
            answer = client.post(
                f"/students/{waiting}/enroll", json={"course_ids": ids, "waitlist": True}
            )
            assert answer.json["waitlisted"] == ids
        assert len(sent) <= 10, sent  # three of them belong to the precheck
        with statements() as sent:
            assert len(client.get(f"/students/{waiting}/courses?limit=100").json) == count
        assert len(sent) == 2, sent
    with statements() as sent:
        assert (
            client.put(f"/students/{student}/enroll", json={"course_ids": []}).json["removed"]
            == ids
        )
    assert len(sent) <= 11, sent  # including the promotions and, on PostgreSQL, the gates
