"""`time-conflict`: two courses meet at the same time.

Facts: the meetings of the set as it would be, in wall time. Remedy: the pair of courses.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from functools import lru_cache

from course_management.rules.case import ADD, Case, Rule, no_more
from course_management.rules.facts import WEEKDAYS, Course, Finding, Meeting
from course_management.rules.meetings import first_shared_date
from course_management.rules.wording import label

CODE = "time-conflict"


def judge(case: Case) -> Iterator[Finding]:
    """A finding for each pair of courses; its facts list every pair of meetings."""
    for course, other in case.pairs:
        if not course.week & other.week:
            continue
        clashes = [
            (mine, its, day)
            for mine in course.meetings
            for its in other.meetings
            if (day := first_shared_date(mine, its))
        ]
        if clashes and not case.lifted(CODE, course, other):
            yield _finding(case, course, other, clashes)


def _finding(
    case: Case, course: Course, other: Course, clashes: list[tuple[Meeting, Meeting, date]]
) -> Finding:
    mine, its, _ = clashes[0]
    first = min(day for _, _, day in clashes)
    return case.finding(
        CODE,
        course,
        f"{label(course, start=True)} meets {_shown(mine)}, and {label(other)} meets "
        f"{_shown(its)}. They first meet at the same time on {first}.",
        f"Choose {label(course)} or {label(other)}, or another course with other times.",
        other_course_id=other.id,
        first_shared_date=first.isoformat(),
        meetings=[[_shown(one), _shown(another)] for one, another, _ in clashes],
    )


@lru_cache(maxsize=4096)
def _shown(meeting: Meeting) -> str:
    """A meeting for a sentence, such as "Mon, Wed 09:30-10:45"."""
    days = ", ".join(WEEKDAYS[day].capitalize() for day in sorted(meeting.days))
    starts, ends = (
        f"{minutes // 60:02}:{minutes % 60:02}" for minutes in (meeting.starts, meeting.ends)
    )
    return f"{days} {starts}-{ends}"


RULE = Rule(
    CODE,
    frozenset({ADD}),
    judge,
    lambda course: course.week,
    no_more,
    lambda course, other: course.week & other.week,
)
