"""The routes that say whether students may add courses, and why not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from flask import Blueprint, Response
from marshmallow import fields, validate
from sqlalchemy.engine import Connection

from course_management.courses.models import CourseNotFound
from course_management.courses.schemas import CourseQuery
from course_management.db.base import MAX_ID
from course_management.db.keyset import Page
from course_management.enrollments import eligibility
from course_management.enrollments.eligibility import Eligibility
from course_management.enrollments.refusal_documents import sees_holds
from course_management.enrollments.refusals import shown_without_hold
from course_management.enrollments.requests import RulesContext
from course_management.enrollments.rule_schemas import FindingOut, rules_context
from course_management.records.fields import Time
from course_management.students import queries as students
from course_management.students.models import StudentNotFound
from course_management.web.endpoint import reading
from course_management.web.external_ids import NamesStudents, chosen_ids
from course_management.web.fields import Answer, Flag, FlagParameter, Id, Limit, StrictSchema
from course_management.web.rendering import list_response

bp = Blueprint("eligibility", __name__)

MAX_ASKED = 200  # courses on a page: each is judged by all rules

_AT = {
    "description": "The moment at which the request would be sent; by default, now.",
    "example": "2026-04-06T08:00:00-05:00",
}


class EligibilityQuery(CourseQuery):
    """The query parameters of the courses that a student may add."""

    course = fields.Integer(
        validate=validate.Range(1, MAX_ID, error=Id.RULE),
        error_messages={"invalid": Id.RULE},
        metadata={
            "description": "Only the course with this id.",
            "example": 7,
            "format": "int64",
        },
    )
    eligible = FlagParameter(
        metadata={
            "description": "`true`: only courses that the student may add; `false`: only others. "
            "Such a page may have fewer items than `limit` although another page follows."
        }
    )
    at = Time(metadata=_AT)

    limit = Limit(MAX_ASKED)

    class Meta:
        exclude = ("sort", "id")


class AtQuery(StrictSchema):
    """The moment of a question."""

    at = Time(metadata=_AT)


class StudentsToAsk(NamesStudents):
    """The students whose eligibility is asked for."""


class RuleOut(Answer):
    """A rule, and whether it is met."""

    rule = fields.String(metadata={"example": "time-conflict"})
    met = Flag(metadata={"example": True})


class EligibilityOut(Answer):
    """Whether a student may add a course now, or at the moment `at`."""

    student_id = Id(metadata={"example": 1})
    course_id = Id(metadata={"example": 7})
    eligible = Flag(
        metadata={
            "description": "Whether all rules are met: a request for a seat would be granted.",
            "example": True,
        }
    )
    rules = fields.List(
        fields.Nested(RuleOut), metadata={"example": [{"rule": "time-conflict", "met": True}]}
    )
    broken = fields.List(
        fields.Nested(FindingOut),
        metadata={"description": "Why rules are not met.", "example": []},
    )
    warnings = fields.List(
        fields.Nested(FindingOut),
        metadata={"description": "What the rules could not decide.", "example": []},
    )


@bp.get("/students/<id:student_id>/eligibility", endpoint="listEligibility")
@reading(
    scope="enrollments:read",
    allow_self=True,
    query=EligibilityQuery(),
    answer=EligibilityOut,
    is_list=True,
    counts=False,
    errors=(StudentNotFound, CourseNotFound),
)
def list_eligibility(connection: Connection, student_id: int, query: dict[str, Any]) -> Response:
    """List courses, and say of each whether the student may add it, and why not."""
    context = _context(query.pop("at", None))
    if "course" in query:
        query["id"] = [query.pop("course")]
    page, found = eligibility.list_eligibility(connection, student_id, context, **query)
    return _response(found, page)


@bp.post("/courses/<course:course>/eligibility", endpoint="checkEligibility")
@reading(
    scope="enrollments:read",
    query=AtQuery(),
    body=StudentsToAsk(),
    answer=EligibilityOut,
    is_list=True,
    counts=False,
    errors=(StudentNotFound, CourseNotFound),
)
def ask_eligibility(
    connection: Connection, course: int | str, query: dict[str, Any], request: dict[str, Any]
) -> Response:
    """Say of each of these students whether they may add the course, and why not."""
    context = _context(query.get("at"))
    asked = chosen_ids(connection, students.require_ids, request, "student_ids")
    found = eligibility.explain(connection, asked, course, context)
    return _response(found)


def _context(moment: datetime | None) -> RulesContext:
    context = rules_context()
    return replace(context, moment=moment) if moment else context


def _response(found: Iterable[Eligibility], page: Page | None = None) -> Response:
    shown = list(found)
    if not sees_holds():
        for one in shown:
            one.broken = [shown_without_hold(finding) for finding in one.broken]
    return list_response(Page([one.as_item() for one in shown], page.next_cursor if page else None))
