"""Whether students may add courses, and why not, without a request that adds them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy.engine import Connection

from course_management.courses import queries as courses
from course_management.courses.models import CourseNotFound
from course_management.courses.refusals import OPEN, CourseCancelled, CourseClosed, CourseFull
from course_management.db.keyset import Page
from course_management.enrollments.allocation import Pair, Seats, allocate
from course_management.enrollments.facts_reader import Facts, read_facts
from course_management.enrollments.locks import require_all
from course_management.enrollments.models import WAITLISTED
from course_management.enrollments.refusals import about_seats, render_finding
from course_management.enrollments.registration import seat_overrides
from course_management.enrollments.requests import RulesContext
from course_management.rules import evaluator
from course_management.rules.facts import Finding, Student
from course_management.rules.wording import iso
from course_management.students.models import StudentNotFound

# The courses that one request for those that a student may add looks through.
MAX_SEARCHED = 2000
_SEAT_RULES = (CourseClosed.code, CourseCancelled.code, CourseFull.code)


@dataclass(slots=True)
class Eligibility:
    """Whether a student may add a course, or get a seat if they wait for it. `rules` says of each
    rule whether it is met; `broken` and `warnings` are findings, and `seats` are the findings about
    seats and status.
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
            "broken": [*map(render_finding, self.broken), *self.seats],
            "warnings": [render_finding(one) for one in self.warnings],
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
    if "id" in query and not page.items:
        raise CourseNotFound
    question = _Question(connection, [student_id], page.items, context)
    if not question.facts.students:
        raise StudentNotFound
    wanted = list(question.seats)
    if eligible is not None:
        addable = question.find_addable(student_id)
        wanted = [course_id for course_id in wanted if (course_id in addable) == eligible]
        if len(wanted) > limit:
            wanted = wanted[:limit]
            filters = {name: value for name, value in query.items() if name != "cursor"}
            page = replace(page, next_cursor=courses.cursor_after(wanted[-1], **filters))
    return page, [question.explain((student_id, course_id)) for course_id in wanted]


def explain(
    connection: Connection, student_ids: Sequence[int], course: int | str, context: RulesContext
) -> list[Eligibility]:
    """Whether each of these students may add a course, in this order.

    Raises CourseNotFound, or StudentNotFound with every missing id.
    """
    course_id = courses.get_course_id(connection, course)
    found = courses.list_courses(connection, id=[course_id], limit=1)
    if not found.items:
        raise CourseNotFound
    question = _Question(connection, student_ids, found.items, context)
    detail = "Some of the students do not exist."
    require_all(student_ids, set(question.facts.students), StudentNotFound, detail)
    return [question.explain((student_id, course_id)) for student_id in student_ids]


class _Question:
    """What the answers about some students and some courses need. Sends one statement.

    The courses are items of the list of courses.
    """

    def __init__(
        self,
        connection: Connection,
        student_ids: Sequence[int],
        items: Iterable[dict[str, Any]],
        context: RulesContext,
    ) -> None:
        self.context = context
        self.seats = {item["id"]: _seats(item) for item in items}
        versions = {i: one.term_version for i, one in self.seats.items() if one.term_version}
        facts = read_facts(connection, student_ids, versions)
        self.states = facts.states()
        students = {i: self._without_ended(one) for i, one in facts.students.items()}
        self.facts: Facts = replace(facts, students=students)

    def _without_ended(self, student: Student) -> Student:
        """The student without the places on waitlists that have ended at the moment: who asks for
        such a course is judged as new.
        """
        ended = [
            i
            for i, held in student.before.items()
            if not held.is_seat
            and (until := held.course.term.add_until) is not None
            and until <= self.context.moment
        ]
        for course_id in ended:
            self.states.pop((student.id, course_id), None)
        kept = {i: held for i, held in student.before.items() if i not in ended}
        return student._replace(before=kept) if ended else student

    def find_addable(self, student_id: int) -> set[int]:
        """The courses that the student may add alone."""
        with_seat = [i for i in self.seats if not self._refusals((student_id, i))]
        ruled = [self.facts.courses[i] for i in with_seat if i in self.facts.courses]
        context = self.context
        met = evaluator.eligible(
            self.facts.students[student_id],
            ruled,
            moment=context.moment,
            settings=context.settings,
        )
        return {i for i in with_seat if i not in self.facts.courses} | {one.id for one in met}

    def explain(self, pair: Pair) -> Eligibility:
        """Whether the student may add the course, and why not."""
        student_id, course_id = pair
        result = Eligibility(student_id, course_id)
        course = self.facts.courses.get(course_id)
        if course:
            waits = self.states.get(pair) == WAITLISTED
            for one in (evaluator.explain_place if waits else evaluator.explain)(
                *(self.facts.students[student_id], course),
                moment=self.context.moment,
                settings=self.context.settings,
            ):
                result.rules[one.rule] = one.met
                result.broken += one.findings
                result.warnings += one.warnings
        result.seats = self._refusals(pair)
        refused = {one["rule"] for one in result.seats}
        result.rules |= {code: code not in refused for code in _SEAT_RULES}
        return result

    def _refusals(self, pair: Pair) -> list[dict[str, Any]]:
        """The findings about seats and status."""
        student_id, course_id = pair
        seats = self.seats[course_id]
        waits = self.states.get(pair) == WAITLISTED  # beside a free seat in a blocked place
        if seats.status == OPEN and seats.has_seat and not waits:
            return []
        course = self.facts.courses.get(course_id)
        own = [course] if course else []
        students = [self.facts.students[student_id]]
        lifted = seat_overrides(students, own, self.context.moment)
        # The decision counts the seat, so each pair gets a copy of the course.
        one = {course_id: replace(seats)}
        _, refusals = allocate(one, self.states, [pair], waitlist=False, lifted=lifted)
        return about_seats(refusals, iso(self.context.moment))


def _seats(item: dict[str, Any]) -> Seats:
    names = ("id", "capacity", "seats_taken", "waitlist_capacity", "waitlisted", "status")
    return Seats(
        **{name: item[name] for name in names},
        next_ticket=0,  # it does not matter, since nobody joins a waitlist here
        term_version=item["version"] if "term" in item else None,
        blocked=item.get("waitlist_blocked", 0),
    )
