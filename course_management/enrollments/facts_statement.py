"""The statement that reads the facts for the rules of registration: one, for any number of students
and courses. Each row of its result has a kind, an id, and the other values as a JSON list.
"""

from __future__ import annotations

from typing import Any, cast

import sqlalchemy as sa

from course_management.catalog.models import CatalogEntry, CatalogRelation
from course_management.courses.models import Course
from course_management.db.base import among, json_list
from course_management.db.prepared_statements import Statement
from course_management.enrollments.models import StudentCourse
from course_management.records.completions.models import Completion
from course_management.records.holds.models import Hold
from course_management.records.overrides.models import Override
from course_management.students.models import Student
from course_management.terms.models import Term, TermWindow


def _table(model: Any) -> sa.Table:
    return cast(sa.Table, model.__table__)


_courses, _terms, _windows = _table(Course), _table(Term), _table(TermWindow)
_entries, _relations = _table(CatalogEntry), _table(CatalogRelation)
_enrollments, _students = _table(StudentCourse), _table(Student)
_completions, _holds, _overrides = _table(Completion), _table(Hold), _table(Override)


def _rows(kind: str, of: sa.ColumnElement[Any], *columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
    return sa.select(sa.literal_column(f"'{kind}'"), of, json_list(*columns))


def _build() -> sa.CompoundSelect[Any]:
    """The statement. Its parameters are `students` and `courses`, lists of ids."""
    own = among(_enrollments.c.student_id, "students")
    wanted = sa.union(
        sa.select(_courses.c.id).where(among(_courses.c.id, "courses")),
        sa.select(_enrollments.c.course_id).where(own),
    ).cte("wanted")
    course = (
        sa.select(*(_courses.c[n] for n in ("id", "status", "term", "catalog_code", "details")))
        .join(wanted, wanted.c.id == _courses.c.id)
        .where(_courses.c.term.is_not(None))
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
    entry = (
        sa.select(
            *(_entries.c[n] for n in ("id", "code", "code_key", "prerequisites", "max_attempts")),
            sa.type_coerce(_entries.c.credits_min, sa.Integer).label("credits_min"),
            sa.type_coerce(_entries.c.credits_max, sa.Integer).label("credits_max"),
        )
        .where(_entries.c.code.in_(sa.select(course.c.catalog_code)))
        .cte("entry")
    )
    of_student = {
        table.name: among(table.c.student_id, "students")
        for table in (_completions, _holds, _overrides)
    }
    codes = sa.union(
        sa.select(entry.c.code_key),
        sa.select(_completions.c.catalog_key).where(of_student["completions"]),
    ).cte("codes")
    related = sa.select(codes.c.code_key)
    relation = _rows(
        *("relation", _relations.c.entry_id),
        *(_entries.c.code_key, _relations.c.kind, _relations.c.code_key),
    ).join(_entries, _entries.c.id == _relations.c.entry_id)
    return sa.union_all(
        _rows(
            *("held", _enrollments.c.student_id, _enrollments.c.course_id),
            *(_enrollments.c.state, _enrollments.c.credits),
        ).where(own),
        _rows(
            *("course", course.c.id, course.c.status, course.c.term),
            course.c.catalog_code,
            course.c.details,
        ),
        term.where(of_course),
        window,
        _rows(
            *("entry", entry.c.id, entry.c.code, entry.c.code_key, entry.c.prerequisites),
            *(entry.c.max_attempts, entry.c.credits_min, entry.c.credits_max),
        ),
        relation.where(_entries.c.code_key.in_(related)),
        relation.where(_relations.c.code_key.in_(related)),
        _rows("student", _students.c.id, _students.c.groups).where(
            among(_students.c.id, "students")
        ),
        _rows(
            *("completion", _completions.c.student_id),
            *(
                _completions.c[n]
                for n in ("kind", "catalog_key", "test_key", "grade", "score", "credits", "term")
            ),
        ).where(of_student["completions"]),
        _rows(
            *("hold", _holds.c.student_id),
            *(_holds.c[n] for n in ("id", "code", "detail", "contact", "blocks", "until")),
        ).where(of_student["holds"], _holds.c.released_at.is_(None)),
        _rows(
            *("override", _overrides.c.student_id),
            *(
                _overrides.c[n]
                for n in ("id", "rule", "course_id", "catalog_code", "term", "value", "expires_at")
            ),
        ).where(of_student["overrides"], _overrides.c.revoked_at.is_(None)),
    )


FACTS = Statement("rules_facts", _build())
