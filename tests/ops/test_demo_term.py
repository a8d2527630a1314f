"""`load-demo --term`: a school with a term whose students break no rule."""

from __future__ import annotations

import pytest
from flask_migrate import upgrade

from course_management.core import text
from course_management.ops import demo_school
from course_management.ops.demo_school import School

STUDENTS = 150


@pytest.fixture
def school(backend, new_database, make_app):
    """The service on a database with the school."""
    app = make_app(new_database(backend))
    with app.app_context():
        upgrade()
    result = run(app, "--students", str(STUDENTS), "--courses", "100", "--each", "5")
    assert result.exit_code == 0, result.output
    assert f"{STUDENTS} students, 100 courses, {STUDENTS * 5} enrollments." in result.stdout
    return app


def run(app, *args):
    return app.test_cli_runner().invoke(args=["load-demo", "--term", *args])


def test_the_school_has_a_term_with_all_that_rules_compare(school):
    client = school.test_client()
    assert [term["code"] for term in client.get("/terms").json] == ["DEMO", "DEMO-A", "DEMO-B"]
    windows = client.get("/terms/DEMO/windows").json["windows"]
    opens = {window["group"]: window["opens_at"] for window in windows}
    assert opens["standing:senior"] < opens[None]
    entry = client.get("/catalog/algebra 302").json
    assert entry["prerequisites"]["all"][1] == {"course": "ALGEBRA 301", "concurrent": True}
    assert client.get("/catalog/ALGEBRA 401").json["excludes"] == ["ALGEBRA 402"]
    courses = client.get("/courses?limit=200&term=DEMO").json
    assert [course["id"] for course in courses] == list(range(1, 101))
    assert {course.get("component") for course in courses} == {"lecture", "lab", None}
    assert any(not course.get("meetings") for course in courses)
    assert any(m["starts"] == "18:00" for course in courses for m in course.get("meetings", ()))
    assert any(course["waitlisted"] for course in courses)
    assert client.get("/students?group=standing:senior").json[0]["groups"][1] == "standing:senior"
    for student in range(1, STUDENTS + 1):
        assert len(client.get(f"/students/{student}/completions?limit=50").json) in (20, 22)
    for kind in ("holds", "overrides"):
        assert any(client.get(f"/students/{i}/{kind}").json for i in range(1, 60))
    assert client.post("/students", json={"name": "Ada"}).json["id"] == STUDENTS + 1


def test_no_enrollment_breaks_a_rule(school):
    """Students who leave all their courses may take them again, all at once."""
    client = school.test_client()
    assert school.test_cli_runner().invoke(args=["audit"]).exit_code == 0
    tried = 0
    for student in range(1, STUDENTS + 1):
        if client.get(f"/students/{student}/holds?active=true").json:
            continue
        chosen = client.get(f"/students/{student}/courses").json
        assert len(chosen) == 5
        drops = {"term": "DEMO", "course_ids": []}
        assert client.put(f"/students/{student}/enroll", json=drops).status_code == 200
        items = [{"course_id": c["id"], "waitlist": True, "credits": c["credits"]} for c in chosen]
        answer = client.post(f"/students/{student}/changes", json={"add": items})
        assert answer.status_code == 200, answer.json
        assert "warnings" not in answer.json, answer.json
        tried += 1
    assert tried > STUDENTS * 0.8
    assert school.test_cli_runner().invoke(args=["audit"]).exit_code == 0


def test_a_second_school_with_a_term_is_refused(school):
    result = run(school)
    assert result.exit_code == 1
    assert "Error: The code DEMO is in use." in result.output
    plain = school.test_cli_runner().invoke(args=["load-demo", "--students", "5"])
    assert plain.exit_code == 0
    assert school.test_client().get(f"/students/{STUDENTS + 5}").status_code == 200


def test_a_school_with_a_term_needs_enough_departments(app):
    for args in (["--courses", "40"], ["--courses", "1000", "--each", "7"]):
        result = run(app, *args)
        assert result.exit_code == 2
        assert "at most 6 and COURSES / 10" in result.output


@pytest.mark.parametrize(("courses", "each"), [(10, 1), (50, 5), (100, 5), (1000, 6), (995, 3)])
def test_the_courses_of_a_student_meet_at_different_times(courses, each):
    school = School(courses, each)
    entries = {entry.code for entry in demo_school.entries(courses)}
    assert len({text.key(code) for code in entries}) == len(entries)
    assert {demo_school.catalog_code(course) for course in range(courses)} <= entries
    for student in range(3000):
        taken = school.takes(student)
        assert len(set(taken)) == each
        slots = [
            (day, meeting["starts"])
            for course in taken
            for meeting in demo_school.details(course).get("meetings", ())
            for day in meeting["days"]
        ]
        assert len(set(slots)) == len(slots)
