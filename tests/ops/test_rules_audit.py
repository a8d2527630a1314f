"""The auditor recounts the rules of registration: broken rules are violations, unless something
explains them.
"""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from course_management.db.transaction import transaction
from course_management.enrollments import registration
from course_management.history.models import Why
from course_management.ops.explanations import (
    COURSE_EDITED,
    COURSE_LEFT,
    ENTRY_EDITED,
    OVERRIDDEN,
    RECORD_CHANGED,
    STUDENT_CHANGED,
    TERM_EDITED,
    UNJUDGED,
    WITHOUT_RULES,
)
from course_management.ops.rules_audit import _ENROLLED, BATCH
from course_management.rules.facts import Judgement
from tests.enrollments.registering import MORNING, enroll, moment, offer, student

__all__ = ["offer", "student"]


@pytest.fixture
def audit(app):
    """Runs the audit: its exit status, the violations by rule, and the notes by rule and
    explanation.
    """

    def go():
        result = app.test_cli_runner().invoke(args=["audit"])
        lines = result.stdout.splitlines()
        begins = "FAIL rules of registration: "
        failed = dict(x.removeprefix(begins).split(": ") for x in lines if x.startswith(begins))
        notes = dict(x.removeprefix("note ").split(": ") for x in lines if x.startswith("note "))
        counted = [{key: int(n) for key, n in found.items()} for found in (failed, notes)]
        assert not any(x.startswith("FAIL") and not x.startswith(begins) for x in lines)
        return result.exit_code, *counted

    return go


@pytest.fixture
def unjudged(monkeypatch):
    """Breaks the service: from now on it judges nothing."""

    def go():
        monkeypatch.setattr(registration.evaluator, "judge", lambda *_, **__: Judgement())

    return go


def aged(app):
    """Make all events of courses, terms and catalog entries an hour older."""
    with app.app_context(), transaction(writing=True) as session:
        is_sqlite = session.connection().dialect.name == "sqlite"
        ago = "datetime(at, '-1 hour') || '.000000'" if is_sqlite else "at - interval '1 hour'"
        statement = f"UPDATE enrollment_events SET at = {ago} WHERE student_id IS NULL"
        session.execute(sa.text(statement))


def note(rule, explanation):
    return {f"{rule}, {explanation}": 1}


def clash(client, offer, student):
    """Two courses that meet at the same time; the student has the first."""
    first, second = offer(meetings=[MORNING]), offer(meetings=[MORNING])
    assert enroll(client, student, first).status_code == 201
    return first, second


def test_what_the_rules_allow_is_no_finding(client, offer, student, audit):
    course = offer("CS 225", {"prerequisites": {"text": "Consent of the head"}, "max_attempts": 1})
    assert enroll(client, student, course, offer(meetings=[MORNING])).status_code == 201
    assert audit() == (0, {}, {})


def test_a_service_that_does_not_judge_is_found(
    app, client, term, offer, student, make, unjudged, audit, monkeypatch
):
    """Each rule that does not depend on the moment, with seats and with a waitlist position."""
    client.patch(f"/terms/{term['code']}", json={"max_credits": 9, "max_courses": 6})
    first = offer("A 1", {"excludes": ["B 1"], "max_attempts": 1}, meetings=[MORNING])
    done = {"catalog_code": "A 1", "kind": "course", "grade": "F", "term": "2024-FA"}
    client.post(f"/students/{student}/completions", json=done)
    after = {"all": [{"course": "X 1"}, {"course": "Y 1", "concurrent": True}]}
    courses = [
        first,
        offer(catalog_code="A 1"),
        offer("B 1", meetings=[MORNING], capacity=0, waitlist_capacity=1),
        offer("C 1", {"prerequisites": after}),
        offer(open_to={"group": "program:cs"}),
        offer(consent="instructor"),
        offer(),
    ]
    aged(app)
    unjudged()
    assert enroll(client, student, *courses, waitlist=True).status_code == 201
    monkeypatch.undo()
    status, violations, notes = audit()
    assert (status, notes) == (1, {})
    assert violations == {
        "prerequisite-missing": 1,
        "corequisite-missing": 1,
        "excluded-by": 2,
        "already-taking": 1,
        "time-conflict": 1,
        "credits-exceeded": 1,
        "courses-exceeded": 1,
        "restricted": 1,
        "consent-required": 1,
        "repeat-limit": 2,
    }
    name = client.get(f"/students/{student}").json["name"]
    output = app.test_cli_runner().invoke(args=["audit"]).stdout
    assert f"student {student}, course" in output
    assert name not in output


def test_an_override_is_a_note_also_when_it_has_ended(app, client, offer, student, audit):
    _, second = clash(client, offer, student)
    body = {"rule": "time-conflict", "course_id": second, "reason": "Both agreed"}
    made = client.post(f"/students/{student}/overrides", json=body).json
    assert enroll(client, student, second).status_code == 201
    expected = (0, {}, note("time-conflict", OVERRIDDEN))
    assert audit() == expected
    client.post(f"/students/{student}/overrides/{made['id']}/revoke", json={"reason": "Over"})
    aged(app)
    assert audit() == expected
    with app.app_context(), transaction(writing=True) as session:
        session.execute(sa.text("UPDATE overrides SET revoked_at = NULL, expires_at = created_at"))
    assert audit() == expected


def test_an_override_of_a_limit_explains_no_more_than_its_value(
    app, client, term, offer, student, unjudged, audit, monkeypatch
):
    client.patch(f"/terms/{term['code']}", json={"max_credits": 3})
    body = {"rule": "credits-exceeded", "term": term["code"], "reason": "Good grades", "value": 6}
    client.post(f"/students/{student}/overrides", json=body)
    one, two, three = (offer(credits_min=3) for _ in range(3))
    aged(app)
    assert enroll(client, student, one, two).status_code == 201
    assert audit() == (0, {}, note("credits-exceeded", OVERRIDDEN))
    unjudged()
    assert enroll(client, student, three).status_code == 201
    monkeypatch.undo()
    assert audit()[:2] == (1, {"credits-exceeded": 1})


def test_an_enrollment_written_without_the_rules_is_a_note(client, offer, student, audit):
    _, second = clash(client, offer, student)
    path, body = f"/students/{student}/enroll?rules=skip", {"course_ids": [second], "reason": "SIS"}
    assert client.post(path, json=body).status_code == 201
    assert audit() == (0, {}, note("time-conflict", WITHOUT_RULES))


def test_credits_chosen_without_the_rules_are_a_note(client, term, offer, student, audit):
    client.patch(f"/terms/{term['code']}", json={"max_credits": 3})
    course = offer(credits_min=1, credits_max=4)
    assert enroll(client, student, course).status_code == 201
    body = {"add": [{"course_id": course, "credits": 4}], "reason": "SIS"}
    path = f"/students/{student}/changes?rules=skip"
    assert client.post(path, json=body).status_code == 200
    assert audit() == (0, {}, note("credits-exceeded", WITHOUT_RULES))


def test_a_move_is_a_note(client, offer, student, audit):
    _, second = clash(client, offer, student)
    third = offer()
    assert enroll(client, student, third).status_code == 201
    body = {"to": second, "student_ids": [student]}
    assert client.post(f"/courses/{third}/move", json=body).status_code == 200
    assert audit() == (0, {}, note("time-conflict", UNJUDGED[Why.MOVED]))


def test_a_reinstatement_is_a_note(client, offer, student, audit):
    first, second = clash(client, offer, student)
    assert client.delete(f"/students/{student}/courses/{first}").status_code == 204
    assert enroll(client, student, second).status_code == 201
    body = {"student_ids": [student]}
    assert client.post(f"/courses/{first}/reinstate", json=body).status_code == 200
    assert audit() == (0, {}, note("time-conflict", UNJUDGED[Why.REINSTATED]))


@pytest.mark.parametrize("why", [Why.LOADED, Why.MIGRATED])
def test_loaded_and_older_enrollments_are_notes(app, client, offer, student, audit, why):
    _, second = clash(client, offer, student)
    path, body = f"/students/{student}/enroll?rules=skip", {"course_ids": [second], "reason": "SIS"}
    assert client.post(path, json=body).status_code == 201
    with app.app_context(), transaction(writing=True) as session:
        changed = "UPDATE enrollment_events SET why = :why, data = NULL WHERE course_id = :course"
        session.execute(sa.text(changed), {"why": why, "course": second})
    assert audit() == (0, {}, note("time-conflict", UNJUDGED[why]))


@pytest.fixture
def edits(client, term, offer, student):
    """Acts that break a rule for a student who keeps it now: (rule, explanation, act)."""
    completions = f"/students/{student}/completions"

    def course_edited():
        one, two = offer(meetings=[MORNING]), offer()
        assert enroll(client, student, one, two).status_code == 201
        client.patch(f"/courses/{two}", json={"meetings": [MORNING]})

    def limit_lowered():
        assert enroll(client, student, offer(credits_min=4)).status_code == 201
        client.patch(f"/terms/{term['code']}", json={"max_credits": 3})

    def limit_lowered_before_a_swap():
        one, two = offer(credits_min=5), offer(credits_min=4)
        assert enroll(client, student, one).status_code == 201
        client.patch(f"/terms/{term['code']}", json={"max_credits": 3})
        body = {"add": [{"course_id": two}], "drop": [one]}
        assert client.post(f"/students/{student}/changes", json=body).status_code == 200

    def entry_edited():
        assert enroll(client, student, offer("CS 225")).status_code == 201
        client.patch("/catalog/CS 225", json={"prerequisites": {"course": "CS 125"}})

    def other_entry_excludes():
        assert enroll(client, student, offer("A 1"), offer("B 1")).status_code == 201
        client.patch("/catalog/B 1", json={"excludes": ["A 1"]})

    def completion_removed():
        done = client.post(completions, json={"catalog_code": "CS 125", "kind": "course"}).json
        course = offer("CS 225", {"prerequisites": {"course": "CS 125"}})
        assert enroll(client, student, course).status_code == 201
        client.delete(f"{completions}/{done['id']}")

    def group_left():
        client.patch(f"/students/{student}", json={"groups": ["program:cs"]})
        assert enroll(client, student, offer(open_to={"group": "program:cs"})).status_code == 201
        client.post("/groups/program:cs/remove", json={"student_ids": [student]})

    def corequisite_cancelled():
        needs = {"prerequisites": {"course": "B 1", "concurrent": True}}
        other = offer("B 1")
        assert enroll(client, student, other, offer("A 1", needs)).status_code == 201
        assert client.post(f"/courses/{other}/cancel").status_code == 200

    def corequisite_dropped_by_a_registrar():
        needs = {"prerequisites": {"course": "B 1", "concurrent": True}}
        other = offer("B 1")
        assert enroll(client, student, other, offer("A 1", needs)).status_code == 201
        path = f"/students/{student}/courses/{other}?rules=skip"
        assert client.delete(path, json={"reason": "SIS"}).status_code == 204

    def corequisite_dropped_with_an_override():
        needs = {"prerequisites": {"course": "B 1", "concurrent": True}}
        other = offer("B 1")
        assert enroll(client, student, other, offer("A 1", needs)).status_code == 201
        body = {"rule": "required-by", "course_id": other, "reason": "Ill"}
        client.post(f"/students/{student}/overrides", json=body)
        assert client.delete(f"/students/{student}/courses/{other}").status_code == 204

    def earlier_part_left():
        for code, starts, ends in (("P1", "08-24", "10-16"), ("P2", "10-19", "12-18")):
            body = {"code": code, "name": code, "parent": term["code"]}
            body |= {"starts_on": f"2026-{starts}", "ends_on": f"2026-{ends}"}
            client.post("/terms", json=body)
        first = offer("A 1", term="P1")
        second = offer("B 1", {"prerequisites": {"course": "A 1"}}, term="P2")
        assert enroll(client, student, first, second).status_code == 201
        assert client.delete(f"/students/{student}/courses/{first}").status_code == 204

    return {
        "course": ("time-conflict", COURSE_EDITED, course_edited),
        "term": ("credits-exceeded", TERM_EDITED, limit_lowered),
        "swap": ("credits-exceeded", TERM_EDITED, limit_lowered_before_a_swap),
        "entry": ("prerequisite-missing", ENTRY_EDITED, entry_edited),
        "excluded": ("excluded-by", ENTRY_EDITED, other_entry_excludes),
        "completion": ("prerequisite-missing", RECORD_CHANGED, completion_removed),
        "group": ("restricted", STUDENT_CHANGED, group_left),
        "cancelled": ("corequisite-missing", COURSE_LEFT, corequisite_cancelled),
        "dropped": ("corequisite-missing", COURSE_LEFT, corequisite_dropped_by_a_registrar),
        "overridden": ("corequisite-missing", COURSE_LEFT, corequisite_dropped_with_an_override),
        "part": ("prerequisite-missing", COURSE_LEFT, earlier_part_left),
    }


EDITS = ("course", "term", "swap", "entry", "excluded", "completion", "group")
EDITS += ("cancelled", "dropped", "overridden", "part")


@pytest.mark.parametrize("name", EDITS)
def test_what_was_edited_later_is_a_note(edits, audit, name):
    rule, explanation, act = edits[name]
    act()
    assert audit() == (0, {}, note(rule, explanation))


def test_a_corequisite_that_the_service_let_go_is_a_violation(
    app, client, offer, student, unjudged, audit, monkeypatch
):
    other = offer("B 1")
    course = offer("A 1", {"prerequisites": {"course": "B 1", "concurrent": True}})
    assert enroll(client, student, other, course).status_code == 201
    aged(app)
    unjudged()
    assert client.delete(f"/students/{student}/courses/{other}").status_code == 204
    monkeypatch.undo()
    assert audit() == (1, {"corequisite-missing": 1}, {})


def test_an_edit_before_the_request_explains_nothing(
    app, client, term, offer, student, unjudged, audit, monkeypatch
):
    """The edits of windows explain nothing at any time."""
    _, second = clash(client, offer, student)
    client.patch(f"/courses/{second}", json={"level": "y"})
    aged(app)
    window = {"group": None, "opens_at": moment(days=-2), "closes_at": moment(days=2)}
    client.put(f"/terms/{term['code']}/windows", json={"windows": [window]})
    unjudged()
    assert enroll(client, student, second).status_code == 201
    monkeypatch.undo()
    assert audit() == (1, {"time-conflict": 1}, {})


def test_the_statements_do_not_depend_on_the_number_of_students(
    app, client, offer, make, statements
):
    def sent_for(number):
        course = offer()
        students = make.students(number)
        client.post(f"/courses/{course}/students", json={"student_ids": students})
        client.patch(f"/courses/{course}", json={"consent": "instructor"})
        with statements() as sent:
            result = app.test_cli_runner().invoke(args=["audit"])
        assert result.exit_code == 0, result.stdout
        return len(sent), result.stdout

    few, _ = sent_for(2)
    many, output = sent_for(BATCH - 10)
    assert many == few
    assert f"note consent-required, {COURSE_EDITED}: {BATCH - 8}" in output


def test_every_batch_is_judged(app, client, offer, make, audit, monkeypatch):
    monkeypatch.setattr("course_management.ops.rules_audit._ENROLLED", _ENROLLED.limit(2))
    course = offer()
    students = [make.student()["id"] for _ in range(5)]
    client.post(f"/courses/{course}/students", json={"student_ids": students})
    client.patch(f"/courses/{course}", json={"consent": "instructor"})
    assert audit() == (0, {}, {f"consent-required, {COURSE_EDITED}": 5})
