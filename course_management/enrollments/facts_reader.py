"""Reads the facts that the rules of registration judge."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import orjson
from sqlalchemy.engine import Connection

from course_management.catalog.models import EXCLUDES, SAME_AS
from course_management.core import text
from course_management.db.prepared_statements import send
from course_management.enrollments.facts_statement import FACTS
from course_management.enrollments.models import ENROLLED
from course_management.rules import facts

_WEEKDAYS = {name: i for i, name in enumerate(facts.WEEKDAYS)}


@dataclass(slots=True)
class Facts:
    """Courses of terms and students, by id. The students have their enrollments in such courses
    (`before`), and no set `after`. `rows` are the rows that say so.
    """

    courses: dict[int, facts.Course]
    students: dict[int, facts.Student]
    rows: Any


def read_facts(
    connection: Connection,
    student_ids: Sequence[int],
    course_ids: Sequence[int],
    known: Facts | None = None,
) -> Facts:
    """The facts about these students, and about these courses and those that the students have.
    Courses without a term are left out. Sends one statement.

    `known` are the facts that were read before the lock. If nothing has changed, they are returned:
    making them from the rows takes longer than comparing the rows.
    """
    rows: Any = send(connection, (FACTS, {"students": student_ids, "courses": course_ids}))
    if known and known.rows == rows:
        return known
    found: dict[str, list[tuple[int, list[Any]]]] = defaultdict(list)
    for kind, owner, document in rows:
        found[kind].append((owner, orjson.loads(document)))
    related = _related(found)
    courses = _courses(found, _terms(found), _entries(found, related))
    return Facts(courses, _students(found, courses, related[SAME_AS]), rows)


_Found = dict[str, list[tuple[int, list[Any]]]]
_Related = dict[str, dict[str, set[str]]]


def _related(found: _Found) -> _Related:
    """For each kind of relation, the codes that each code is related to, whichever names it."""
    related: _Related = {EXCLUDES: defaultdict(set), SAME_AS: defaultdict(set)}
    for _, (code, kind, other) in found["relation"]:
        related[kind][code].add(other)
        related[kind][other].add(code)
    return related


def _terms(found: _Found) -> dict[str, facts.Term]:
    """The terms, by the code that courses have."""
    windows = defaultdict(list)
    for whole, (group, opens_at, closes_at) in found["window"]:
        windows[whole].append(facts.Window(group, _moment(opens_at), _moment(closes_at)))
    terms = {}
    for term_id, (code, key, whole, whole_code, whole_key, starts, ends, *rest) in found["term"]:
        add, drop, withdraw, least, most, courses = rest
        terms[code] = facts.Term(
            id=term_id,
            code=key,
            whole=whole,
            whole_code=whole_key,
            starts_on=date.fromisoformat(starts),
            ends_on=date.fromisoformat(ends),
            add_until=_optional(add),
            drop_until=_optional(drop),
            withdraw_until=_optional(withdraw),
            min_credits=least,
            max_credits=most,
            max_courses=courses,
            windows=tuple(windows[whole]),
            shown=code,
            whole_shown=whole_code,
        )
    return terms


def _entries(found: _Found, related: _Related) -> dict[str, tuple[facts.Entry, int, int]]:
    """The catalog entries, by the code that courses have, each with its credits."""
    return {
        code: (
            facts.Entry(
                *(key, code, prerequisites),
                frozenset(related[SAME_AS][key]),
                # What excludes an entry excludes those that are the same.
                frozenset().union(
                    *(related[EXCLUDES][one] for one in (key, *related[SAME_AS][key]))
                ),
                attempts,
            ),
            least,
            most,
        )
        for _, (code, key, prerequisites, attempts, least, most) in found["entry"]
    }


def _courses(
    found: _Found,
    terms: dict[str, facts.Term],
    entries: dict[str, tuple[facts.Entry, int, int]],
) -> dict[int, facts.Course]:
    courses = {}
    for course_id, (status, term_code, code, details) in found["course"]:
        term = terms[term_code]
        entry, least, most = entries[code] if code else (None, 0, 0)
        given: dict[str, Any] = details or {}
        if "credits_min" in given:
            least = most = round(given["credits_min"] * 100)
        if "credits_max" in given:
            most = round(given["credits_max"] * 100)
        courses[course_id] = facts.Course(
            *(course_id, status, term, entry, given.get("component"), least, most),
            tuple(_meeting(meeting, term) for meeting in given.get("meetings", ())),
            *(given.get("open_to"), given.get("consent"), given.get("contact")),
        )
    return courses


def _meeting(given: dict[str, Any], term: facts.Term) -> facts.Meeting:
    first, last = given["first_on"], given["last_on"]
    return facts.Meeting(
        frozenset(_WEEKDAYS[day] for day in given["days"]),
        *(_minutes(given["starts"]), _minutes(given["ends"])),
        date.fromisoformat(first) if first else term.starts_on,
        date.fromisoformat(last) if last else term.ends_on,
    )


def _students(
    found: _Found, courses: dict[int, facts.Course], same_as: dict[str, set[str]]
) -> dict[int, facts.Student]:
    held: dict[int, dict[int, facts.Held]] = defaultdict(dict)
    for student_id, (course_id, state, chosen) in found["held"]:
        if course := courses.get(course_id):
            taken = course.credits_min if chosen is None else chosen
            held[student_id][course_id] = facts.Held(course, state == ENROLLED, taken)
    completions, holds, overrides = defaultdict(list), defaultdict(list), defaultdict(list)
    for student_id, (kind, entry, test, grade, score, worth, term) in found["completion"]:
        key = term and text.key(term)
        same = frozenset(same_as[entry]) if entry in same_as else frozenset()
        completions[student_id].append(
            facts.Completion(kind, entry, test, grade, score, worth, key, same)
        )
    for student_id, (hold_id, code, detail, contact, blocks, until) in found["hold"]:
        holds[student_id].append(
            facts.Hold(hold_id, code, detail, contact, frozenset(blocks), _optional(until))
        )
    for student_id, (override_id, rule, course_id, code, term, value, until) in found["override"]:
        keys = (code and text.key(code), term and text.key(term))
        overrides[student_id].append(
            facts.Override(override_id, rule, course_id, *keys, value, _optional(until))
        )
    return {
        student_id: facts.Student(
            *(student_id, frozenset(groups), completions[student_id], holds[student_id]),
            *(overrides[student_id], held[student_id]),
        )
        for student_id, (groups,) in found["student"]
    }


def _minutes(time: str) -> int:
    hours, minutes = time.split(":")
    return int(hours) * 60 + int(minutes)


def _moment(value: str) -> datetime:
    """A time in the JSON of a database. SQLite stores UTC without saying so."""
    moment = datetime.fromisoformat(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _optional(value: str | None) -> datetime | None:
    return None if value is None else _moment(value)
