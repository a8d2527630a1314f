"""The school with a term that `make bench` and `make profile` measure the rules with.

It is the school of `load-demo --term`: students with five courses of the term and 20 completions,
six windows, limits, holds and overrides. On top of it, this module makes the courses for requests.
Each has a catalog entry with prerequisites that all students meet, and meets at a time at which no
other course does. So a student can take all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import psycopg2

from benchmarks.inside import Service
from benchmarks.stage import load
from benchmarks.workloads import EACH, TermWorld

MAX_PART = 125  # courses for each of two kinds of requests
CREDITS = 0.1  # of such a course, so that one student can take all of them
WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
PREREQUISITES = {
    "all": [
        {"credits": 30},
        {"any": [{"course": "GENERAL 150"}, {"course": "GENERAL 101"}]},
        {"test": "ALEKS", "min": 40},
    ]
}
# The holds remain, and the rules read them. But they must not refuse the requests.
SETTLE = (
    """UPDATE holds SET blocks = '["drop"]'""",
    "VACUUM (ANALYZE)",
    "CHECKPOINT",
)


def courses_of_term(courses: int) -> int:
    """The number of courses of the term, where the plain demo data has `courses`: 1,675 for 1,000,
    as many as the summer term of a large university offers.
    """
    return courses * 1675 // 1000


def make(url: str, students: int, courses: int) -> TermWorld:
    """Load the school into the database at `url`, which is empty, and make its further courses."""
    part = min(courses // 8, MAX_PART)
    many = min(100, part)
    own = 2 * part + many + 2
    load(url, students, courses_of_term(courses) - own, EACH, "--term")
    service = Service(url)
    _ask(service, "PATCH", "/terms/DEMO", {"max_credits": 99, "max_courses": 500})
    slots = _slots()

    def course(**fields: Any) -> int:
        number, meeting = next(slots)
        code, title = f"BENCH {number}", f"Workshop {number}"
        entry = {"code": code, "title": title, "credits_min": CREDITS, "max_attempts": 2}
        entry |= {"prerequisites": fields.pop("prerequisites", PREREQUISITES)}
        _ask(service, "POST", "/catalog", entry)
        body = {"name": title, "level": "senior", "term": "DEMO", "catalog_code": code, **fields}
        return int(_ask(service, "POST", "/courses", {**body, "meetings": [meeting]})["id"])

    world = TermWorld(
        students,
        refused=course(prerequisites={"course": "GENERAL 150"}),
        roomy=course(capacity=students),
        enroll=tuple(course() for _ in range(part)),
        bulk_1000=tuple(course() for _ in range(part)),
        bulk_100=tuple(course() for _ in range(many)),
    )
    connection = psycopg2.connect(url)
    connection.autocommit = True
    for statement in SETTLE:
        connection.cursor().execute(statement)
    connection.close()
    return world


def _slots() -> Iterator[tuple[int, dict[str, Any]]]:
    """Numbers and meetings, a quarter of an hour each, when the courses of the demo school do not
    meet: they meet from Monday to Friday between 8 and 22 hours.
    """
    numbers = count(1)
    for day in WEEK:
        for quarter in range(4 * 24 - 1):
            hour, minute = divmod(quarter * 15, 60)
            if day in ("sat", "sun") or not 8 <= hour < 22:
                ends = divmod(quarter * 15 + 15, 60)
                times = {"starts": f"{hour:02}:{minute:02}", "ends": f"{ends[0]:02}:{ends[1]:02}"}
                yield next(numbers), {"days": [day], **times}


def _ask(service: Service, method: str, target: str, body: Any) -> Any:
    answer = service.ask(method, target, body)
    assert answer.status < 300, (method, target, answer)
    return answer.json
