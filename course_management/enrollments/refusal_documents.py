"""The problem documents of requests that courses or rules refuse."""

from __future__ import annotations

from typing import Any

import orjson
from flask import Response

from course_management.courses.refusals import EnrollmentRefused
from course_management.enrollments.refusals import RulesBroken
from course_management.web import access
from course_management.web.external_ids import place_of
from course_management.web.problems import from_error
from course_management.web.request_context import BODY_KEY, current


def render_refused(error: EnrollmentRefused) -> Response:
    """The problem document of courses that refuse. For every rule that the request breaks in a
    course, `errors` points at the first id in the body that got no seat.
    """
    body = orjson.loads(current().environ.get(BODY_KEY, b"{}"))
    faults = [
        {"pointer": _pointer(body, *one.pair), "code": code, "detail": detail}
        for one in error.refusals
        for code, detail in one.reasons
    ]
    error.fields |= {"errors": faults} if faults else {}
    return from_error(error)


def render_broken(error: RulesBroken) -> Response:
    """The problem document of broken rules. Only some principals see the details of holds."""
    return from_error(error if sees_holds() else error.without_holds())


def sees_holds() -> bool:
    """Whether the principal may see the holds of the students of the request."""
    return access.own_name() is not None or access.may("holds:read")


def _pointer(body: dict[str, Any], student_id: int, course_id: int) -> str:
    if "add" in body:
        added = [one["course_id"] for one in body["add"]]
        return f"/add/{added.index(course_id)}/course_id"
    if "to" in body:
        return "/to"
    if body.get("student_external_ids") is not None:
        return f"/student_external_ids/{place_of(student_id)}"
    if body.get("course_external_ids") is not None:
        return f"/course_external_ids/{place_of(course_id)}"
    if "student_ids" in body:
        return f"/student_ids/{body['student_ids'].index(student_id)}"
    return (
        f"/course_ids/{body['course_ids'].index(course_id)}"
        if "course_ids" in body
        else "/course_id"
    )
