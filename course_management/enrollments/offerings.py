"""The part of the facts that rarely changes: courses of terms with their terms and catalog entries.

Fast part: each process keeps the courses that it has read. `versions` say when a course has
changed, and the edition (models.RulesEdition) says when anything else has. It saves half the cost
of an enrollment in a course of a term. `OFFERINGS_CACHE=off` reads them for each request instead.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from weakref import WeakKeyDictionary

import orjson
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

from course_management.catalog.models import EXCLUDES, SAME_AS
from course_management.courses.written import has_written_courses
from course_management.db.prepared_statements import send
from course_management.enrollments.facts_statement import OFFERINGS
from course_management.rules import facts

# The courses that a process keeps. A course takes about 2 kB.
MAX_KEPT = 20_000
_WEEKDAYS = {name: i for i, name in enumerate(facts.WEEKDAYS)}


@dataclass(slots=True)
class Offerings:
    """Courses of terms by id, each with its version, as of an edition. `same_as` has the keys of
    the entries that are the same as an entry.
    """

    edition: int
    same_as: Mapping[str, frozenset[str]] = field(default_factory=dict)
    courses: dict[int, tuple[int, facts.Course]] = field(default_factory=dict)

    def lacks(self, versions: Mapping[int, int]) -> list[int]:
        """The courses that are not here in these versions."""
        courses = self.courses
        return [
            course_id
            for course_id, version in versions.items()
            if course_id not in courses or courses[course_id][0] != version
        ]


# What each engine of this process keeps.
_kept: WeakKeyDictionary[Engine, Offerings | None] = WeakKeyDictionary()


def init_engine(engine: Engine) -> None:
    """Make this process keep the courses that it reads from `engine`.

    A new connection may be one to a database that was restored, where versions begin anew: then
    nothing is kept.
    """
    _kept[engine] = None

    @event.listens_for(engine, "connect")
    def forget(dbapi: Any, record: Any) -> None:
        _kept[engine] = None


def keeps_facts(connection: Connection) -> bool:
    """Whether this process keeps facts (`OFFERINGS_CACHE`)."""
    return connection.engine in _kept


def is_known(connection: Connection) -> Callable[[int], bool]:
    """A function that says whether this process keeps a course: then it belonged to a term."""
    kept = _kept.get(connection.engine)
    return kept.courses.__contains__ if kept else _is_nothing


def _is_nothing(course_id: int) -> bool:
    return False


def read_offerings(
    connection: Connection, edition: int | None, versions: Mapping[int, int]
) -> Offerings:
    """The courses of `versions` that belong to a term, at least as new as this edition and these
    versions. Sends a statement if this process does not know all of them.

    Keeps nothing if the edition is not known (None), and nothing that a transaction reads after it
    has written courses: if it is rolled back, another edit gives a course the same version.
    """
    if edition is None:
        return _read(connection, versions) if versions else Offerings(0)
    kept = _kept.get(connection.engine)
    if kept is None or kept.edition != edition or len(kept.courses) > MAX_KEPT:
        kept = Offerings(edition)
        lacking = list(versions)
    else:
        lacking = kept.lacks(versions)
    if not lacking:
        return kept
    if has_written_courses(connection):
        return _read(connection, versions)
    found = _read(connection, lacking)
    if found.edition == kept.edition:
        # Other threads may read it meanwhile. None of them iterates over it.
        kept.courses.update(found.courses)
        kept.same_as = found.same_as
        found = kept
    elif len(lacking) < len(versions):
        found = _read(connection, versions)
    if connection.engine in _kept:
        _kept[connection.engine] = found
    return found


_Found = dict[str, list[tuple[int, list[Any]]]]
_Related = dict[str, dict[str, set[str]]]


def _read(connection: Connection, course_ids: Iterable[int]) -> Offerings:
    rows = send(connection, (OFFERINGS, {"courses": list(course_ids)}))
    found: _Found = defaultdict(list)
    for kind, owner, document in rows:
        found[kind].append((owner, orjson.loads(document)))
    related = _related(found)
    courses = _courses(found, _terms(found), _entries(found, related))
    ((_, (edition,)),) = found["edition"]
    same_as = {code: frozenset(others) for code, others in related[SAME_AS].items()}
    return Offerings(edition, same_as, courses)


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
        windows[whole].append(facts.Window(group, to_moment(opens_at), to_moment(closes_at)))
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
            add_until=to_optional(add),
            drop_until=to_optional(drop),
            withdraw_until=to_optional(withdraw),
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
) -> dict[int, tuple[int, facts.Course]]:
    courses = {}
    for course_id, (version, status, term_code, code, details) in found["course"]:
        term = terms[term_code]
        entry, least, most = entries[code] if code else (None, 0, 0)
        given: dict[str, Any] = details or {}
        if "credits_min" in given:
            least = most = round(given["credits_min"] * 100)
        if "credits_max" in given:
            most = round(given["credits_max"] * 100)
            least = min(least, most)  # the entry may have more credits since
        course = facts.Course(
            *(course_id, status, term, entry, given.get("component"), least, most),
            tuple(_meeting(meeting, term) for meeting in given.get("meetings", ())),
            *(given.get("open_to"), given.get("consent"), given.get("contact")),
        )
        courses[course_id] = version, course
    return courses


def _meeting(given: dict[str, Any], term: facts.Term) -> facts.Meeting:
    first, last = given["first_on"], given["last_on"]
    return facts.Meeting(
        frozenset(_WEEKDAYS[day] for day in given["days"]),
        *(_minutes(given["starts"]), _minutes(given["ends"])),
        date.fromisoformat(first) if first else term.starts_on,
        date.fromisoformat(last) if last else term.ends_on,
    )


def _minutes(time: str) -> int:
    hours, minutes = time.split(":")
    return int(hours) * 60 + int(minutes)


def to_moment(value: str) -> datetime:
    """A time in the JSON of a database. SQLite stores UTC without saying so."""
    moment = datetime.fromisoformat(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def to_optional(value: str | None) -> datetime | None:
    """As `to_moment`; None for null."""
    return None if value is None else to_moment(value)
