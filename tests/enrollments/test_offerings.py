"""What the process keeps about courses of terms is never old, whoever writes."""

from __future__ import annotations

from contextlib import suppress

import pytest
import sqlalchemy as sa

from course_management.courses.service import lock_course, update_course
from course_management.db.transaction import transaction
from course_management.enrollments.facts_reader import read_facts
from tests.databases import audit

OPEN_WINDOW = {"opens_at": "1900-01-01T00:00:00Z", "closes_at": "2199-01-01T00:00:00Z"}
NOW = "'2026-01-01 00:00:00'"


@pytest.fixture
def execute(app):
    """Executes a statement that no service knows of, as another release or an operator would."""

    def run(statement, **values):
        with app.app_context(), transaction(writing=True) as session:
            return session.execute(sa.text(statement), values)

    return run


@pytest.fixture
def token(app):
    """The edition, as it is now."""

    def read():
        with app.app_context(), transaction(writing=False) as session:
            return session.scalar(sa.text("SELECT token FROM rules_edition"))

    return read


ENTRY = (
    "INSERT INTO catalog_entries (code, code_key, title, title_key, credits_min, credits_max, "
    "excludes, same_as, created_at, updated_at, version) "
    f"VALUES ('N 1', 'n 1', 'x', 'x', 100, 100, '[]', '[]', {NOW}, {NOW}, 1)"
)
TERM = (
    "INSERT INTO terms (code, code_key, name, starts_on, ends_on, time_zone, created_at, "
    "updated_at, version) "
    f"VALUES ('N', 'n', 'x', '2026-01-01', '2026-02-01', 'UTC', {NOW}, {NOW}, 1)"
)
RELATION = (
    "INSERT INTO catalog_relations (entry_id, kind, code_key) "
    "SELECT id, 'same_as', 'y 1' FROM catalog_entries"
)
WINDOW = (
    "INSERT INTO term_windows (term_id, number, opens_at, closes_at) "
    f"SELECT id, 9, {NOW}, '2099-01-01 00:00:00' FROM terms"
)


@pytest.mark.parametrize(
    ("before", "statement"),
    [
        ((), TERM),
        ((TERM,), "UPDATE terms SET max_courses = 1"),
        ((TERM,), "DELETE FROM terms"),
        ((TERM,), WINDOW),
        ((TERM, WINDOW), "UPDATE term_windows SET group_name = 'a:b'"),
        ((TERM, WINDOW), "DELETE FROM term_windows"),
        ((), ENTRY),
        ((ENTRY,), "UPDATE catalog_entries SET max_attempts = 1"),
        ((ENTRY,), "DELETE FROM catalog_entries"),
        ((ENTRY,), RELATION),
        ((ENTRY, RELATION), "UPDATE catalog_relations SET kind = 'excludes'"),
        ((ENTRY, RELATION), "DELETE FROM catalog_relations"),
    ],
)
def test_every_edit_begins_a_new_edition(execute, token, before, statement):
    for one in before:
        execute(one)
    old = token()
    execute(statement)
    assert token() != old


@pytest.fixture
def asked(client, make, term):
    """A function: whether a student may add a course of the term, and the rules that they break."""
    client.put(f"/terms/{term['code']}/windows", json={"windows": [OPEN_WINDOW]})
    client.post("/catalog", json={"code": "CS 1", "title": "x", "credits_min": 3})
    course = make.course(term=term["code"], catalog_code="CS 1")["id"]
    student = make.student()["id"]

    def ask():
        found = client.get(f"/students/{student}/eligibility?course={course}").json[0]
        path = f"/students/{student}/enroll?dry_run=true"
        rehearsal = client.post(path, json={"course_ids": [course]})
        assert found["eligible"] == (rehearsal.status_code == 201)
        return [one["rule"] for one in found["broken"]]

    ask.course, ask.student = course, student
    return ask


@pytest.mark.parametrize(
    ("statement", "rules"),
    [
        ("UPDATE terms SET max_courses = 0", ["courses-exceeded"]),
        ("DELETE FROM term_windows", ["registration-not-open"]),
        ("UPDATE catalog_entries SET max_attempts = 0", ["repeat-limit"]),
        (
            'UPDATE catalog_entries SET prerequisites = \'{"course": "X 1"}\'',
            ["prerequisite-missing"],
        ),
        (
            'UPDATE courses SET version = version + 1, details = \'{"consent": "instructor"}\' '
            "WHERE id = :course",
            ["consent-required"],
        ),
        (
            "INSERT INTO holds (student_id, code, detail, blocks, created_at, updated_at, version) "
            f"VALUES (:student, 'x', 'x', '[\"add\"]', {NOW}, {NOW}, 1)",
            ["hold"],
        ),
    ],
)
def test_an_edit_that_no_service_made_counts_at_once(asked, execute, statement, rules):
    assert asked() == []
    execute(
        statement,
        **{name: getattr(asked, name) for name in ("course", "student") if f":{name}" in statement},
    )
    assert asked() == rules


def test_edits_through_the_api_count_at_once(asked, client, term):
    assert asked() == []
    client.patch(f"/terms/{term['code']}", json={"max_credits": 2})
    assert asked() == ["credits-exceeded"]
    client.patch("/catalog/CS%201", json={"credits_min": 2})
    assert asked() == []
    client.patch(f"/courses/{asked.course}", json={"open_to": {"group": "a:b"}})
    assert asked() == ["restricted"]
    client.post("/groups/a:b/add", json={"student_ids": [asked.student]})
    assert asked() == []


def test_the_records_of_a_deleted_student_leave_no_copy(client, execute, make):
    student = make.student()["id"]
    body = {"catalog_code": "CS 1", "kind": "course"}
    client.post(f"/students/{student}/completions", json=body)
    count = "SELECT count(*) FROM student_records WHERE student_id = :student"
    with_records = execute(count, student=student).scalar()
    assert client.delete(f"/students/{student}").status_code == 204
    assert (with_records, execute(count, student=student).scalar()) == (1, 0)


class TakenBack(Exception):
    """Rolls a transaction back."""


def test_what_is_read_after_an_edit_that_is_taken_back_is_not_kept(app, client, asked):
    """The next edit gives the course the version that the first one had."""
    assert asked() == []
    with app.app_context(), suppress(TakenBack), transaction(writing=True) as session:
        course = update_course(session, lock_course(session, asked.course), {"contact": "x"})
        read_facts(session.connection(), [asked.student], {course.id: course.version})
        raise TakenBack
    client.patch(f"/courses/{asked.course}", json={"consent": "instructor"})
    assert asked() == ["consent-required"]


def test_a_request_about_an_unknown_student_forgets_nothing(client, make, asked, statements):
    """Fails if the next request reads the courses again that the process knew."""
    other, counts = make.course(term="2026-FA")["id"], []
    asked()
    for student, status in ((asked.student, 200), (999_999, 404)):
        answer = client.get(f"/students/{student}/eligibility?course={other}")
        assert answer.status_code == status
        with statements() as sent:
            assert asked() == []
        counts.append(len(sent))
    assert counts[0] == counts[1]


@pytest.fixture
def lectures(client, make, asked):
    """Two students, of whom the first has passed CS 1, and a function: who of them may add a course
    that needs it.
    """
    needs = {"prerequisites": {"course": "CS 1"}}
    client.post("/catalog", json={"code": "CS 2", "title": "x", "credits_min": 3} | needs)
    term = client.get(f"/courses/{asked.course}").json["term"]
    course = make.course(term=term, catalog_code="CS 2")["id"]
    students = [make.student()["id"] for _ in range(2)]
    done = {"catalog_code": "CS 1", "kind": "course"}
    client.post(f"/students/{students[0]}/completions", json=done)

    def eligible():
        body = {"student_ids": students}
        found = client.post(f"/courses/{course}/eligibility", json=body).json
        return [one["eligible"] for one in found]

    assert eligible() == [True, False]
    return students, eligible


def test_completions_that_an_operator_moves_count_for_the_other_student(app, execute, lectures):
    """As when somebody merges two students with SQL."""
    (first, second), eligible = lectures
    moved = "UPDATE completions SET student_id = :second WHERE student_id = :first"
    execute(moved, first=first, second=second)
    assert eligible() == [False, True]
    audit(app)


def test_completions_that_an_operator_empties_count_no_more(app, backend, execute, lectures):
    """As before an import. SQLite has no TRUNCATE."""
    _, eligible = lectures
    execute("TRUNCATE completions" if backend == "postgresql" else "DELETE FROM completions")
    assert eligible() == [False, False]
    audit(app)
