"""The locks of an enrollment, and the rows that are read once they are held.

Every request takes its locks in one order: the students by id, then the courses by id. A course
without a capacity is locked only against edits and deletion, so that students can enroll in it at
the same time. A course with a capacity, or with students who wait, is locked against all other
requests.
docs/decisions/0005-seats.md explains why enrollments cannot deadlock.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from course_management.core.errors import NotFound
from course_management.courses.refusals import OPEN
from course_management.db.prepared_statements import Statement, send
from course_management.enrollments.allocation import Pair, Seats
from course_management.enrollments.lock_statements import Statements, about
from course_management.enrollments.offerings import is_known
from course_management.students.models import StudentNotFound

# Key of a connection's info: the ids of courses that were open and had neither a capacity nor a
# term when this connection last read them. The precheck does not read these courses again.
_UNLIMITED = "courses without a capacity"


@dataclass
class CourseStates:
    """The seats of some courses, the states of some students in them, and the number of these
    students that exist (None if no course was read). `facts` is the text of the facts about the one
    student of a request about courses of terms (facts_statement.py).
    """

    courses: dict[int, Seats] = field(default_factory=dict)
    states: dict[Pair, str] = field(default_factory=dict)
    student_count: int | None = None
    facts: str | None = None

    @property
    def term_versions(self) -> dict[int, int]:
        """The versions of the courses that belong to a term, by id."""
        return {
            course.id: course.term_version
            for course in self.courses.values()
            if course.term_version is not None
        }

    def read(
        self,
        connection: Connection,
        values: dict[str, Any],
        *statements: Statement,
        has_facts: bool = False,
    ) -> None:
        """Send the statements in one message, and read the rows of the last one."""
        unlimited = connection.info.setdefault(_UNLIMITED, set())
        rows: Any = send(connection, *[(statement, values) for statement in statements])
        if has_facts and rows:
            self.facts, rows = rows[0][0], [row[1:] for row in rows]
        for *seats, self.student_count, student_id, state in rows:
            course = Seats(*seats)
            self.courses[course.id] = course
            takes_all = course.capacity is None and course.status == OPEN and not course.has_term
            (unlimited.add if takes_all else unlimited.discard)(course.id)
            if student_id is not None:
                self.states[(student_id, course.id)] = state


def read_unlocked(
    connection: Connection, student_ids: Sequence[int], course_ids: Sequence[int]
) -> CourseStates:
    """Read the courses without a lock. If none of them had a capacity or a term when this
    connection last read it, read nothing.
    """
    found = CourseStates()
    if not connection.info.get(_UNLIMITED, set()).issuperset(course_ids):
        ruled = any(map(is_known(connection), course_ids))
        statements, values = about(student_ids, course_ids, ruled=ruled)
        found.read(connection, values, statements.read, has_facts=statements.has_facts)
    return found


def lock_students(session: Session, student_ids: Sequence[int], *, in_body: bool = False) -> None:
    """Lock the students, so that requests about one student take turns.

    Raises StudentNotFound. With `in_body`, the request's body has the ids, and the error lists
    every missing one.
    """
    # The statement has no courses: any as many ids will do.
    statements, values = about(student_ids, student_ids)
    rows = send(session.connection(), (statements.lock_students, values))
    found = {row[0] for row in rows}
    if in_body:
        require_all(student_ids, found, StudentNotFound, "Some of the students do not exist.")
    elif not found:
        raise StudentNotFound


def lock(
    session: Session,
    student_ids: Sequence[int],
    course_ids: Sequence[int],
    capped_course_ids: Collection[int] = (),
    *,
    students_locked: bool = False,
    ruled: bool = False,
) -> CourseStates:
    """Lock the students, unless they are locked already, then the courses. Returns the rows that
    were read under the locks, without courses that do not exist.

    With `ruled`, the facts about one student are read too, as `about` says.

    `capped_course_ids` are the courses that had a capacity in the precheck. They get the exclusive
    lock immediately. The others are locked against edits only: first their gates, then FOR KEY
    SHARE. So a course that is read as unlimited stays unlimited. Courses among them that have a
    capacity after all then get the exclusive lock. If the precheck was wrong, this costs a stronger
    lock or one more statement, and nothing else.

    A statement that waits for a lock returns the rows of other tables as they were before it
    waited. So a statement that locks courses starts after the students are locked, when no
    enrollment of theirs can appear. If it returns one, that may have been promoted or removed
    meanwhile, and it is read again.
    """
    connection, found = session.connection(), CourseStates()
    others = sorted(set(course_ids).difference(capped_course_ids))
    if others:
        statements, values = about(student_ids, others, ruled=ruled)
        before = _before_sharing(connection, statements, students_locked)
        found.read(connection, values, *before, statements.share, has_facts=statements.has_facts)
        students_locked = True
    capped = [i for i in course_ids if i in capped_course_ids]
    capped += [course.id for course in found.courses.values() if course.is_counted]
    if capped:
        statements, values = about(student_ids, capped, ruled=ruled)
        before = [] if students_locked else [statements.lock_students]
        found.read(connection, values, *before, statements.lock, has_facts=statements.has_facts)
        may_be_old = [pair for pair in found.states if pair[1] in capped]
        if may_be_old:
            for pair in may_be_old:
                del found.states[pair]
            found.read(connection, values, statements.read, has_facts=statements.has_facts)
    return found


def _before_sharing(
    connection: Connection, statements: Statements, students_locked: bool
) -> list[Statement]:
    """The statement that locks the students, unless they are locked, and passes the gates. SQLite,
    where one transaction writes at a time, has no gates.
    """
    if connection.dialect.name == "postgresql":
        gated = statements.pass_gates if students_locked else statements.lock_students_and_gates
        return [gated]
    return [] if students_locked else [statements.lock_students]


def require_all(ids: Iterable[int], found: set[int], error: type[NotFound], detail: str) -> None:
    """Raise `error` with the `ids` that are not in `found`."""
    missing = [i for i in ids if i not in found]
    if missing:
        raise error(detail, missing=missing)
