"""Says why a set of courses may break a rule although every request was judged: its facts were
edited later, or nobody judged how the student got there. Pure functions of events.

A request is judged on the facts of its moment, so the auditor compares the time of an enrollment
with those of the edits of the facts that its rule reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from course_management.core import text
from course_management.history.models import SKIPPED, Why
from course_management.rules import (
    already_taking,
    consent_required,
    corequisite_missing,
    courses_exceeded,
    credits_exceeded,
    excluded_by,
    prerequisite_missing,
    repeat_limit,
    required_by,
    restricted,
    time_conflict,
)
from course_management.rules.case import are_same
from course_management.rules.expressions import codes_of
from course_management.rules.facts import Course, Finding, Held, Student

OVERRIDDEN = "lifted by an override"
WITHOUT_RULES = "written with rules=skip"
UNJUDGED = {
    Why.MOVED: "moved by the staff",
    Why.REINSTATED: "reinstated by the staff",
    Why.LOADED: "loaded as demo data",
    Why.MIGRATED: "older than the history",
}
COURSE_EDITED = "a course was edited later"
TERM_EDITED = "a term was edited later"
ENTRY_EDITED = "a catalog entry was edited later"
RECORD_CHANGED = "the completions of the student were changed later"
STUDENT_CHANGED = "the groups of the student were changed later"
COURSE_LEFT = "the student left another course later"

# The edits that explain each rule. Overrides are judged apart.
_FACTS = {
    prerequisite_missing.CODE: {"course", "term", "entry", "record", "student"},
    corequisite_missing.CODE: {"course", "term", "entry", "record", "student"},
    excluded_by.CODE: {"course", "entry", "record"},
    already_taking.CODE: {"course", "term", "entry"},
    time_conflict.CODE: {"course", "term"},
    credits_exceeded.CODE: {"course", "term", "entry"},
    courses_exceeded.CODE: {"course", "term"},
    restricted.CODE: {"course", "student"},
    consent_required.CODE: {"course"},
    repeat_limit.CODE: {"course", "term", "entry", "record"},
}
# Rules that refuse only what makes a fault worse. A student over a limit may swap courses.
_GRADUAL = frozenset({credits_exceeded.CODE, courses_exceeded.CODE, repeat_limit.CODE})
_PREREQUISITES = frozenset({prerequisite_missing.CODE, corequisite_missing.CODE})
# A drop that no rule judged.
_LEFT_UNJUDGED = frozenset({Why.CANCELLED, Why.MOVED})


@dataclass(slots=True)
class Stay:
    """An enrollment from `began` until `ended` (None: it goes on). `whys` are the causes of its
    events. `skipped` says that one of them was written without the rules.
    """

    began: datetime
    ended: datetime | None = None
    whys: set[str] = field(default_factory=set)
    skipped: bool = False


@dataclass(slots=True)
class History:
    """The enrollments of a student, the present ones by course, and the last changes of the
    completions (`record`) and of the student.
    """

    present: dict[int, Stay] = field(default_factory=dict)
    past: list[Stay] = field(default_factory=list)
    record: datetime | None = None
    student: datetime | None = None

    def add(self, course_id: int, at: datetime, to_state: str | None, why: str, rules: str) -> None:
        """Add an event of an enrollment. Events come in their order."""
        stay = self.present.setdefault(course_id, Stay(at))
        stay.whys.add(why)
        stay.skipped = stay.skipped or rules == SKIPPED
        if to_state is None:
            stay.ended = at
            self.past.append(self.present.pop(course_id))


@dataclass(slots=True)
class Edits:
    """When each course (by id), term and catalog entry (by key) was edited last."""

    courses: dict[int, datetime] = field(default_factory=dict)
    terms: dict[str, datetime] = field(default_factory=dict)
    entries: dict[str, datetime] = field(default_factory=dict)


def explain(finding: Finding, student: Student, history: History, edits: Edits) -> str | None:
    """Why the present courses of a student break a rule; None if a request should have been
    refused.
    """
    involved = list(_involved(finding, student))
    stays = [history.present[one.id] for one in involved if one.id in history.present]
    if len(stays) < len(involved):
        return None  # an enrollment without events
    gradual = finding.rule in _GRADUAL
    if unjudged := _unjudged([*stays, *history.past] if gradual else stays):
        return unjudged
    changes = dict(_changes(finding, involved, student, history, edits))
    for explanation, at in changes.items():
        if _was_before(at, stays, history) if gradual else at >= max(one.began for one in stays):
            return explanation
    if finding.rule in _PREREQUISITES and _left(finding, student, history, stays[0].began):
        return COURSE_LEFT
    return None


def _involved(finding: Finding, student: Student) -> Iterator[Course]:
    """The courses that break the rule together."""
    held = student.before
    facts = finding.facts
    if finding.course is None:
        yield from (c for c in _courses(held) if c.term.whole_label == facts["term"])
        return
    course = held[finding.course].course
    yield course
    other: int | None = facts.get("other_course_id") or facts.get("excluding_course_id")
    if other is not None and other in held:
        yield held[other].course
    if finding.rule == repeat_limit.CODE and course.entry:
        for one in _courses(held):
            if one.id != course.id and one.entry and are_same(one.entry, course.entry):
                yield one


def _courses(held: Mapping[int, Held]) -> Iterator[Course]:
    return (one.course for one in held.values())


def _unjudged(stays: Iterable[Stay]) -> str | None:
    for stay in stays:
        if stay.skipped:
            return WITHOUT_RULES
        for why, explanation in UNJUDGED.items():
            if why in stay.whys:
                return explanation
    return None


def _was_before(at: datetime, stays: Iterable[Stay], history: History) -> bool:
    """Whether an edit came after the student had some of these courses, or courses that they
    swapped for them later.
    """
    return any(
        one.began <= at and (one.ended is None or one.ended >= at)
        for one in (*stays, *history.past)
    )


def _changes(
    finding: Finding, involved: list[Course], student: Student, history: History, edits: Edits
) -> Iterator[tuple[str, datetime]]:
    """The last edits of the facts that the rule reads, each with its explanation."""
    kinds = _FACTS[finding.rule]
    wholes = {course.term.whole for course in involved}
    # Other courses of the term can meet a prerequisite.
    beside = [c for c in _courses(student.before) if c.term.whole in wholes]
    courses = beside if finding.rule in _PREREQUISITES else involved
    terms = {code for c in courses for code in (c.term.code, c.term.whole_code)}
    codes = set(_codes(courses, student)) if "entry" in kinds else set()
    found = (
        ("course", COURSE_EDITED, [edits.courses.get(course.id) for course in courses]),
        ("term", TERM_EDITED, [edits.terms.get(code) for code in terms]),
        ("entry", ENTRY_EDITED, [edits.entries.get(code) for code in codes]),
        ("record", RECORD_CHANGED, [history.record]),
        ("student", STUDENT_CHANGED, [history.student]),
    )
    for kind, explanation, moments in found:
        known = [moment for moment in moments if moment]
        if kind in kinds and known:
            yield explanation, max(known)


def _codes(courses: Iterable[Course], student: Student) -> Iterator[str]:
    """The keys of the catalog entries that courses and completions relate to."""
    for course in courses:
        if entry := course.entry:
            yield entry.code
            yield from entry.same_as
            yield from entry.excludes
            if entry.prerequisites:
                yield from map(text.key, codes_of(entry.prerequisites))
    for one in student.completions:
        if one.entry:
            yield one.entry
            yield from one.same_as


def _left(finding: Finding, student: Student, history: History, since: datetime) -> bool:
    """Whether the student left a course later that met a prerequisite. A drop that takes a
    corequisite away is refused, unless it is not judged or an override lifts `required-by`.
    """
    ends = [one for one in history.past if one.ended and one.ended >= since]
    if finding.rule == prerequisite_missing.CODE:
        return bool(ends)
    if any(one.rule == required_by.CODE for one in student.overrides):
        return bool(ends)
    return any(one.skipped or one.whys & _LEFT_UNJUDGED for one in ends)
