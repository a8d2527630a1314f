"""What the statements select that read the facts for the rules of registration.

`STUDENTS` has what changes all the time: the records and the enrollments of students. For one
student, the statements of `lock_statements.py` have it as a column. `OFFERINGS` has what changes
rarely: courses, terms, windows and the catalog.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import sqlalchemy as sa

from course_management.catalog.models import CatalogEntry, CatalogRelation
from course_management.courses.models import Course
from course_management.db.base import among, json_list
from course_management.db.prepared_statements import Statement
from course_management.db.snapshots import is_new, snapshot
from course_management.enrollments.facts_tables import RulesEdition, StudentRecords
from course_management.enrollments.models import ENROLLED, StudentCourse
from course_management.students.models import Student
from course_management.terms.models import Term, TermWindow


def _table(model: Any) -> sa.Table:
    return cast(sa.Table, model.__table__)


_courses, _terms, _windows = _table(Course), _table(Term), _table(TermWindow)
_entries, _relations = _table(CatalogEntry), _table(CatalogRelation)
_enrollments, _students = _table(StudentCourse), _table(Student)
_records = _table(StudentRecords)
_token = sa.select(_table(RulesEdition).c.token).scalar_subquery()
# Without a term or an entry, there is no row yet.
_EDITION = sa.func.coalesce(_token, sa.literal_column("0"))


# Between the parts of the facts about a student. It is in no JSON text: JSON escapes it.
SEPARATOR = "\x1f"
_SEPARATOR: sa.ColumnElement[str] = sa.literal_column(f"'{SEPARATOR}'")


def _joined(separator: sa.ColumnElement[str], *values: Any) -> sa.ColumnElement[str]:
    """Texts with a separator between them."""
    text: sa.ColumnElement[str] = values[0]
    for another in values[1:]:
        text = text + separator + another
    return text


def _text(value: Any, null: str) -> sa.ColumnElement[str]:
    return sa.func.coalesce(sa.cast(value, sa.Text), sa.literal_column(f"'{null}'"))


_IS_SEAT = _enrollments.c.state == sa.literal_column(f"'{ENROLLED}'")
_COMMA: Any = sa.literal_column("','")
# Four values for each enrollment, with commas between them, and BETWEEN between enrollments. This
# is three times as fast as the functions for JSON.
BETWEEN = ";"
_BETWEEN: Any = sa.literal_column(f"'{BETWEEN}'")
_HELD = sa.func.aggregate_strings(
    sa.cast(_courses.c.id, sa.Text)
    + _COMMA
    + _text(sa.case((_courses.c.term.is_not(None), _courses.c.version)), "null")
    + sa.case((_IS_SEAT, sa.literal_column("',1,'")), else_=sa.literal_column("',0,'"))
    + _text(_enrollments.c.credits, "null"),
    _BETWEEN,
)
_ENROLLMENTS = _enrollments.join(_courses, _courses.c.id == _enrollments.c.course_id)


def _facts(held: Any) -> tuple[sa.ColumnElement[str], ...]:
    """The facts about a student as texts: the edition, then the groups, the completions, the holds
    and the overrides as JSON, and `held`: their enrollments. An enrollment has the id of the
    course, its version if it belongs to a term, 1 for a seat, and the credits.
    """
    return (
        sa.cast(_EDITION, sa.Text),
        sa.cast(_students.c.groups, sa.Text),
        *(_text(_records.c[name], "") for name in ("completions", "holds", "overrides")),
        _text(held, ""),
    )


def facts_of_student(is_student: Callable[[Any], sa.ColumnElement[bool]]) -> Any:
    """A column for other statements: the facts about the student of this condition, as one text."""
    held = sa.select(_HELD).select_from(_ENROLLMENTS).where(is_student(_enrollments.c.student_id))
    facts = _joined(_SEPARATOR, *_facts(held.scalar_subquery()))
    student = sa.select(facts).select_from(_students.outerjoin(_records))
    return student.where(is_student(_students.c.id)).scalar_subquery()


def _build_students() -> sa.CompoundSelect[Any]:
    """The id of each student of the parameter `students`, and the facts about them. First a row
    with the id 0 and the snapshot. If that is the snapshot `seen`, there are no other rows.
    """
    held = (
        sa.select(_enrollments.c.student_id, _HELD.label("held"))
        .select_from(_ENROLLMENTS)
        .where(among(_enrollments.c.student_id, "students"))
        .group_by(_enrollments.c.student_id)
        .subquery()
    )
    joined = _students.outerjoin(_records).outerjoin(held, held.c.student_id == _students.c.id)
    facts = sa.select(_students.c.id, *_facts(held.c.held)).select_from(joined)
    nothing: Any = sa.literal_column("''")
    first = sa.select(sa.literal_column("0"), snapshot(), *[nothing] * 5)
    return sa.union_all(first, facts.where(among(_students.c.id, "students"), is_new("seen")))


def _rows(kind: str, of: Any, *columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
    return sa.select(sa.literal_column(f"'{kind}'"), of, json_list(*columns))


def _build_offerings() -> sa.CompoundSelect[Any]:
    """Rows of a kind, an id, and the other values as a JSON list, about the courses of the
    parameter `courses` that belong to a term.
    """
    course = (
        sa.select(
            *(
                _courses.c[name]
                for name in ("id", "version", "status", "term", "catalog_code", "details")
            )
        )
        .where(among(_courses.c.id, "courses"), _courses.c.term.is_not(None))
        .cte("course")
    )
    whole = _terms.alias("whole")
    of_course = _terms.c.code.in_(sa.select(course.c.term))
    term = _rows(
        "term",
        _terms.c.id,
        *(_terms.c.code, _terms.c.code_key, sa.func.coalesce(whole.c.id, _terms.c.id)),
        sa.func.coalesce(whole.c.code, _terms.c.code),
        *(sa.func.coalesce(whole.c.code_key, _terms.c.code_key), _terms.c.starts_on),
        _terms.c.ends_on,
        # A part has the deadlines of its whole term unless it has its own.
        *(
            sa.func.coalesce(_terms.c[name], whole.c[name])
            for name in ("add_until", "drop_until", "withdraw_until")
        ),
        *(
            sa.func.coalesce(whole.c[name], _terms.c[name], type_=sa.Integer)
            for name in ("min_credits", "max_credits", "max_courses")
        ),
    ).select_from(_terms.outerjoin(whole, whole.c.id == _terms.c.parent_id))
    window = _rows(
        *("window", _windows.c.term_id, _windows.c.group_name),
        *(_windows.c.opens_at, _windows.c.closes_at),
    ).where(
        _windows.c.term_id.in_(
            sa.select(sa.func.coalesce(_terms.c.parent_id, _terms.c.id)).where(of_course)
        )
    )
    entry = _rows(
        *("entry", _entries.c.id, _entries.c.code, _entries.c.code_key, _entries.c.prerequisites),
        _entries.c.max_attempts,
        sa.type_coerce(_entries.c.credits_min, sa.Integer),
        sa.type_coerce(_entries.c.credits_max, sa.Integer),
    ).where(_entries.c.code.in_(sa.select(course.c.catalog_code)))
    # All of them: a completion may be of any entry, and say that it is the same as another.
    relation = _rows(
        *("relation", _relations.c.entry_id),
        *(_entries.c.code_key, _relations.c.kind, _relations.c.code_key),
    ).join(_entries, _entries.c.id == _relations.c.entry_id)
    return sa.union_all(
        _rows("edition", sa.literal_column("0"), _EDITION),
        _rows(
            *("course", course.c.id, course.c.version, course.c.status, course.c.term),
            *(course.c.catalog_code, course.c.details),
        ),
        term.where(of_course),
        window,
        entry,
        relation,
    )


STUDENTS = Statement("rules_students", _build_students())
OFFERINGS = Statement("rules_offerings", _build_offerings())
