"""Whether students may add courses, and why not, without a request that adds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy.engine import Connection

from course_management.courses import queries as courses
from course_management.courses.models import CourseNotFound
from course_management.courses.refusals import CourseCancelled, CourseClosed, CourseFull
from course_management.db.keyset import Page
from course_management.enrollments.allocation import Pair, allocate
from course_management.enrollments.facts_reader import Facts, read_facts
from course_management.enrollments.lock_statements import about
from course_management.enrollments.locks import CourseStates, require_all
from course_management.enrollments.refusals import about_seats, as_json
from course_management.enrollments.registration import seat_overrides
from course_management.enrollments.requests import RulesContext
from course_management.rules import evaluator
from course_management.rules.facts import Finding
from course_management.students.models import StudentNotFound

# The courses that one request for those that a student may add looks through.
MAX_SEARCHED = 2000
_SEATS = (CourseClosed.code, CourseCancelled.code, CourseFull.code)


@dataclass(slots=True)
class Eligibility:
    """Whether a student may add a course. `rules` says of each rule whether it is met; `broken` and
    `warnings` are findings, and `seats` are the findings about seats and status.
    """

    student_id: int
    course_id: int
    rules: dict[str, bool] = field(default_factory=dict)
    broken: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)
    seats: list[dict[str, Any]] = field(default_factory=list)

    def as_item(self) -> dict[str, Any]:
        """The fields of a response."""
        return {
            "student_id": self.student_id,
            "course_id": self.course_id,
            "eligible": all(self.rules.values()),
            "rules": [{"rule": rule, "met": met} for rule, met in self.rules.items()],
            "broken": [*map(as_json, self.broken), *self.seats],
            "warnings": [as_json(one) for one in self.warnings],
        }


def list_eligibility(
    connection: Connection,
    student_id: int,
    context: RulesContext,
    *,
    eligible: bool | None = None,
    limit: int,
    **query: Any,
) -> tuple[Page, list[Eligibility]]:
    """A page of courses, and whether the student may add each of them alone. With `eligible`, only
    the courses that they may add, or only the others.

    Such a page may have fewer items than `limit` although another one follows. `query` has the
    filters and the cursor of the list of courses. Raises StudentNotFound, and CourseNotFound if
    the filter `id` finds nothing.
    """
    page = courses.list_courses(
        connection, limit=limit if eligible is None else MAX_SEARCHED, **query
    )
    course_ids = [item["id"] for item in page.items]
    if "id" in query and not course_ids:
        raise CourseNotFound
    found = explain(connection, [student_id], course_ids, context, in_body=False)
    if eligible is None:
        return page, found
    wanted = [one for one in found if all(one.rules.values()) == eligible]
    if len(wanted) <= limit:
        return page, wanted
    filters = {name: value for name, value in query.items() if name != "cursor"}
    cursor = courses.cursor_after(wanted[limit - 1].course_id, **filters)
    return replace(page, next_cursor=cursor), wanted[:limit]


def explain(
    connection: Connection,
    student_ids: Sequence[int],
    course_ids: Sequence[int],
    context: RulesContext,
    *,
    in_body: bool = True,
) -> list[Eligibility]:
    """Whether each of these students may add each of these courses alone, in this order. Sends two
    statements.

    Raises StudentNotFound; with `in_body`, the request's body has the ids of the students, and the
    error lists every missing one.
    """
    facts = read_facts(connection, student_ids, course_ids)
    if not facts.students and not in_body:
        raise StudentNotFound
    detail = "Some of the students do not exist."
    require_all(student_ids, set(facts.students), StudentNotFound, detail)
    found = CourseStates()
    if course_ids:
        statements, values = about(student_ids, course_ids)
        found.read(connection, values, statements.read)
    pairs = ((student_id, course_id) for student_id in student_ids for course_id in course_ids)
    return [_explain(facts, found, pair, context) for pair in pairs if pair[1] in found.courses]


def _explain(facts: Facts, found: CourseStates, pair: Pair, context: RulesContext) -> Eligibility:
    student_id, course_id = pair
    result = Eligibility(student_id, course_id)
    course = facts.courses.get(course_id)
    if course:
        for one in evaluator.explain(
            *(facts.students[student_id], course),
            moment=context.moment,
            settings=context.settings,
        ):
            result.rules[one.rule] = one.met
            result.broken += one.findings
            result.warnings += one.warnings
    # The decision counts the seat, so each pair gets a copy of the course.
    seats = {course_id: replace(found.courses[course_id])}
    own = [course] if course else []
    lifted = seat_overrides([facts.students[student_id]], own, context.moment)
    _, refusals = allocate(seats, found.states, [pair], waitlist=False, lifted=lifted)
    result.seats = about_seats(refusals)
    refused = {one["rule"] for one in result.seats}
    result.rules |= {code: code not in refused for code in _SEATS}
    return result
