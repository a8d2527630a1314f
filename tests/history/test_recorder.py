"""The table of events: types, reasons, tickets, the clock, and what a deletion leaves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from course_management.db.transaction import transaction
from course_management.enrollments import ledger
from course_management.history.models import EnrollmentEvent


@pytest.fixture
def events(app):
    """The events of the table, in their order, as tuples of the named columns."""

    def read(*names):
        columns = [getattr(EnrollmentEvent, name) for name in names]
        with app.app_context(), transaction(writing=False) as session:
            return [tuple(row) for row in session.execute(sa.select(*columns).order_by("id"))]

    return read


def test_students_and_courses_have_events(client, make, events):
    student = make.student(external_id="s-1")["id"]
    course = make.course(name="Logic", external_id="c-1")["id"]
    client.patch(f"/students/{student}", json={"name": "Ada"})
    client.patch(f"/courses/{course}", json={"level": "senior"})
    client.patch(f"/courses/{course}", json={"level": "senior"})  # changes nothing
    client.delete(f"/students/{student}")
    client.delete(f"/courses/{course}")
    assert events("type", "student_id", "course_id", "why", "data") == [
        ("student.created", student, None, "requested", None),
        ("course.created", None, course, "requested", None),
        ("student.changed", student, None, "requested", None),
        ("course.changed", None, course, "requested", None),
        ("student.deleted", student, None, "requested", {"external_id": "s-1"}),
        ("course.deleted", None, course, "requested", {"external_id": "c-1", "name": "Logic"}),
    ]


def test_the_history_lists_changes_of_enrollments_only(client, make):
    student, course = make.student()["id"], make.course()["id"]
    assert client.get(f"/students/{student}/history").json == []
    client.post(f"/students/{student}/enroll", json={"course_ids": [course]})
    client.patch(f"/students/{student}", json={"name": "Ada"})
    assert len(client.get(f"/students/{student}/history").json) == 1


def test_every_move_has_its_reason(client, make):
    a, b = make.student()["id"], make.student()["id"]
    course = make.course(name="Logic")["id"]
    roster = f"/courses/{course}"
    client.post(f"/students/{a}/enroll", json={"course_ids": [course], "reason": " Major "})
    client.post(f"{roster}/students", json={"student_ids": [b], "reason": "Transfer"})
    client.delete(f"/students/{a}/courses/{course}", json={"reason": "Clash"})
    client.post(f"/students/{a}/courses", json={"course_id": course, "reason": "Back"})
    client.put(f"/students/{a}/enroll", json={"course_ids": [], "reason": "Leave"})
    client.post(f"{roster}/drop", json={"student_ids": [b], "reason": "Fees"})
    told = client.get(f"{roster}/history").json
    assert [(e["student_id"], e["why"], e["reason"]) for e in reversed(told)] == [
        (a, "requested", "Major"),
        (b, "requested", "Transfer"),
        (a, "dropped", "Clash"),
        (a, "requested", "Back"),
        (a, "dropped", "Leave"),
        (b, "removed", "Fees"),
    ]
    assert {e["course_name"] for e in told} == {"Logic"}


@pytest.mark.parametrize("reason", ["x" * 501, "", "a\u0000b", 1])
def test_an_invalid_reason_is_refused_everywhere(client, make, reason):
    student, course = make.student()["id"], make.course()["id"]
    client.post(f"/students/{student}/enroll", json={"course_ids": [course]})
    for method, path, body in (
        ("POST", f"/students/{student}/enroll", {"course_ids": [course]}),
        ("PUT", f"/students/{student}/enroll", {"course_ids": []}),
        ("POST", f"/courses/{course}/students", {"student_ids": [student]}),
        ("POST", f"/courses/{course}/drop", {"student_ids": [student]}),
        ("DELETE", f"/students/{student}/courses/{course}", {}),
    ):
        response = client.open(path, method=method, json={**body, "reason": reason})
        assert response.status_code == 422
        assert response.json["errors"][0]["pointer"] == "/reason"
    assert len(client.get(f"/courses/{course}/history").json) == 1


def test_a_promotion_and_a_place_have_their_ticket(client, make):
    course = make.course(capacity=1, waitlist_capacity=5)["id"]
    students = [make.student()["id"] for _ in range(3)]
    body = {"student_ids": students, "waitlist": True}
    client.post(f"/courses/{course}/students", json=body)
    client.delete(f"/students/{students[0]}/courses/{course}")
    client.delete(f"/students/{students[2]}/courses/{course}")
    told = client.get(f"/courses/{course}/history").json
    assert [(e["student_id"], e["to"], e["ticket"]) for e in reversed(told)] == [
        (students[0], "enrolled", None),
        (students[1], "waitlisted", 1),
        (students[2], "waitlisted", 2),
        (students[0], None, None),
        (students[1], "enrolled", 1),
        (students[2], None, 2),
    ]


def test_a_lost_seat_remembers_since_when_it_was_held(client, make, events):
    student, course = make.student()["id"], make.course()["id"]
    client.post(f"/students/{student}/enroll", json={"course_ids": [course]})
    address = f"/students/{student}/courses/{course}"
    since = datetime.fromisoformat(client.get(address).json["enrolled_at"])
    client.delete(address)
    (*_, (why, data)) = events("why", "data")
    assert (why, datetime.fromisoformat(data["enrolled_at"])) == ("dropped", since)


def test_a_deletion_clears_the_reasons_about_the_student(client, make, events):
    gone, stays = make.student()["id"], make.student()["id"]
    course = make.course()["id"]
    body = {"student_ids": [gone, stays], "reason": "Ada asked for it"}
    client.post(f"/courses/{course}/students", json=body)
    client.delete(f"/students/{gone}")
    assert [row for row in events("student_id", "reason") if row[1]] == [
        (stays, "Ada asked for it")
    ]


def test_the_name_of_a_deleted_course_remains(client, make):
    student, course = make.student()["id"], make.course(name="Logic")["id"]
    client.post(f"/students/{student}/enroll", json={"course_ids": [course]})
    client.delete(f"/students/{student}/courses/{course}")
    client.delete(f"/courses/{course}")
    told = client.get(f"/students/{student}/history").json
    assert [e["course_name"] for e in told] == ["Logic", "Logic"]


def test_the_time_is_that_of_the_database(client, make, monkeypatch):
    """Hosts whose clocks differ then still agree on the order of events."""
    student, course = make.student()["id"], make.course()["id"]
    monkeypatch.setattr(ledger, "now", lambda: datetime(2001, 1, 1, tzinfo=UTC))
    client.post(f"/students/{student}/enroll", json={"course_ids": [course]})
    (event,) = client.get(f"/students/{student}/history").json
    assert datetime.fromisoformat(event["at"]) > datetime.now(UTC) - timedelta(minutes=5)


def test_the_last_row_that_a_request_inserts_is_an_event(client, make, statements):
    student, course = make.student()["id"], make.course()["id"]
    for method, path, body in (
        ("POST", "/students", {"name": "Ada"}),
        ("POST", "/courses", {"name": "Optics", "level": "x"}),
        ("POST", f"/students/{student}/enroll", {"course_ids": [course]}),
        ("DELETE", f"/students/{student}", None),
    ):
        with statements() as sent:
            assert client.open(path, method=method, json=body).status_code < 300
        inserted = [text for text in sent if "insert" in text.lower()]
        assert "enrollment_events" in inserted[-1]
