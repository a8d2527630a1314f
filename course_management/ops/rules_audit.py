"""The audit of the rules of registration: judges the courses of terms that every student has.

A broken rule that `explanations.py` explains is a note. Any other is a violation: the service wrote
an enrollment that it should have refused. Rules that depend on the moment of a request (windows,
deadlines, holds) cannot be judged later.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from course_management.core import text
from course_management.courses.models import Course
from course_management.db.base import among
from course_management.enrollments.facts_reader import read_facts
from course_management.enrollments.ledger_statements import table as enrollments
from course_management.history.models import EventType
from course_management.history.recorder import events
from course_management.ops.audit import MAX_EXAMPLES
from course_management.ops.audit import Finding as Violation
from course_management.ops.explanations import OVERRIDDEN, Edits, History, explain
from course_management.records.overrides.models import Override
from course_management.rules import evaluator, facts
from course_management.rules.facts import Finding, Settings, Student
from course_management.students.models import Student as StudentModel

BATCH = 500  # students
MAX_NOTES = 3  # examples of each kind of note
# An edit and a request may overlap: the request can read the facts before the edit is committed,
# and write its event after that of the edit.
OVERLAP = timedelta(seconds=10)
_courses = cast(sa.Table, Course.__table__)
_students = cast(sa.Table, StudentModel.__table__)
_overrides = cast(sa.Table, Override.__table__)

_ENROLLED = (
    sa.select(_students.c.id)
    .where(
        _students.c.id > sa.bindparam("last"),
        sa.exists()
        .where(
            enrollments.c.student_id == _students.c.id,
            # Otherwise PostgreSQL may read the enrollments from the first student on.
            enrollments.c.student_id > sa.bindparam("last"),
            enrollments.c.course_id == _courses.c.id,
            _courses.c.term.is_not(None),
        )
        .correlate(_students),
    )
    .order_by(_students.c.id)
    .limit(BATCH)
)
# Those that have ended too: they lifted a rule when they were used.
_ALL_OVERRIDES = sa.select(
    *(_overrides.c[n] for n in ("student_id", "id", "rule", "course_id", "catalog_code", "term")),
    _overrides.c.value,
).where(among(_overrides.c.student_id, "students"))
_CREATED = (EventType.TERM_CREATED, EventType.CATALOG_CREATED)
_EDITED = (
    *(EventType.COURSE_CHANGED, EventType.TERM_CHANGED),
    *(EventType.CATALOG_CHANGED, EventType.CATALOG_DELETED),
)
_EDITS = (
    sa.select(
        *(events.c.type, events.c.course_id, events.c.data["code"].as_string().label("code")),
        sa.func.max(events.c.at).label("at"),
    )
    .where(
        events.c.student_id.is_(None),
        events.c.type.in_([*_CREATED, *_EDITED]),
        # These rules do not read the windows of a term.
        events.c.data["windows"].as_string().is_(None),
    )
    .group_by(events.c.type, events.c.course_id, sa.literal_column("code"))
)
_RECORD = (EventType.COMPLETION_CREATED, EventType.COMPLETION_CHANGED, EventType.COMPLETION_DELETED)
_EVENTS = (
    sa.select(
        *(events.c[n] for n in ("student_id", "type", "course_id", "at", "to_state", "why")),
        events.c.data["rules"].as_string().label("rules"),
    )
    .where(
        among(events.c.student_id, "students"),
        events.c.type.in_([EventType.ENROLLMENT_CHANGED, EventType.STUDENT_CHANGED, *_RECORD]),
    )
    .order_by(events.c.id)
)


@dataclass(slots=True)
class Report:
    """The violations by rule, and the notes by rule and explanation: how many, and examples."""

    violations: Counter[str] = field(default_factory=Counter)
    notes: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: dict[Any, list[str]] = field(default_factory=lambda: defaultdict(list))

    def violation(self, finding: Finding) -> None:
        """Count a violation."""
        self.violations[finding.rule] += 1
        if self.violations[finding.rule] <= MAX_EXAMPLES:
            self.examples[finding.rule].append(_shown(finding))

    def note(self, rule: str, explanation: str, example: str) -> None:
        """Count a note."""
        self.notes[rule, explanation] += 1
        if self.notes[rule, explanation] <= MAX_NOTES:
            self.examples[rule, explanation].append(example)

    def findings(self) -> list[Violation]:
        """The violations as the findings of an audit."""
        found = [
            Violation(f"rules of registration: {rule}", count, self.examples[rule])
            for rule, count in sorted(self.violations.items())
        ]
        return found or [Violation("rules of registration", 0, [])]

    def lines(self) -> Iterator[str]:
        """The notes, for people."""
        for (rule, explanation), count in sorted(self.notes.items()):
            yield f"note {rule}, {explanation}: {count}"
            yield from (f"       {example}" for example in self.examples[rule, explanation])


def audit_rules(connection: Connection, settings: Settings, moment: datetime) -> Report:
    """Judge the courses of all students, in batches, on the snapshot of `connection`. Writes
    nothing. `moment` is the present time.

    A condition in words counts as met: the setting that decides it may have changed.
    """
    report, settings = Report(), replace(settings, text_refuses=False)
    edits, last = None, 0
    while student_ids := connection.scalars(_ENROLLED, {"last": last}).all():
        edits = edits or _read_edits(connection)
        last = student_ids[-1]
        students = _read_students(connection, student_ids)
        broken = _judge(students, settings, moment, report)
        histories = _read_histories(connection, list(broken)) if broken else {}
        for student_id, findings in broken.items():
            for one in findings:
                why = explain(one, students[student_id], histories[student_id], edits)
                if why is None:
                    report.violation(one)
                else:
                    report.note(one.rule, why, _shown(one))
    return report


def _judge(
    students: Mapping[int, Student], settings: Settings, moment: datetime, report: Report
) -> dict[int, list[Finding]]:
    """The broken rules by student. Notes the rules that overrides lift."""
    broken = {}
    for student in students.values():
        judgement = evaluator.judge_set(student, student.before, moment=moment, settings=settings)
        if judgement.broken:
            broken[student.id] = judgement.broken
        for one in student.overrides:
            if one.id in judgement.overrides_used:
                report.note(one.rule, OVERRIDDEN, f"student {student.id}, override {one.id}")
    return broken


def _read_students(connection: Connection, student_ids: Sequence[int]) -> dict[int, Student]:
    """The students with their courses, and with all overrides that they ever had."""
    found: dict[int, list[facts.Override]] = defaultdict(list)
    rows: Any = connection.execute(_ALL_OVERRIDES, {"students": student_ids})
    for student_id, override_id, rule, course_id, code, term, value in rows:
        keys = (code and text.key(code), term and text.key(term))
        found[student_id].append(facts.Override(override_id, rule, course_id, *keys, value))
    students = read_facts(connection, list(student_ids), {}).students
    return {i: one._replace(overrides=found[i]) for i, one in students.items()}


def _read_edits(connection: Connection) -> Edits:
    edits = Edits()
    for kind, course_id, code, at in connection.execute(_EDITS):
        until = at if kind in _CREATED else at + OVERLAP
        if course_id is not None:
            edits.courses[course_id] = until
        elif code is not None:
            of_kind = edits.terms if kind.startswith("term.") else edits.entries
            key = text.key(code)
            of_kind[key] = max(until, of_kind.get(key, until))
    return edits


def _read_histories(connection: Connection, student_ids: Iterable[int]) -> dict[int, History]:
    histories: dict[int, History] = defaultdict(History)
    rows: Any = connection.execute(_EVENTS, {"students": student_ids})
    for student_id, kind, course_id, at, to_state, why, rules in rows:
        history = histories[student_id]
        if kind == EventType.ENROLLMENT_CHANGED:
            history.add(course_id, at, to_state, why, rules)
        elif kind == EventType.STUDENT_CHANGED:
            history.student = at
        else:
            history.record = at
    return histories


def _shown(finding: Finding) -> str:
    course = "" if finding.course is None else f", course {finding.course}"
    return f"student {finding.student}{course}: {finding.detail}"
