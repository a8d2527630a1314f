"""The routes of the registrar's acts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import Blueprint, Response
from sqlalchemy.orm import Session

from course_management.courses.models import CourseNotFound
from course_management.courses.refusals import (
    CourseCancelled,
    CourseClosed,
    CourseFull,
    WaitlistFull,
)
from course_management.enrollments.models import EnrollmentNotFound
from course_management.enrollments.rule_schemas import rules_context
from course_management.history.schemas import ReasonOnly
from course_management.registrar import schemas, service
from course_management.registrar.requests import Marked, MoveRequest
from course_management.students import queries as students
from course_management.students.models import StudentNotFound
from course_management.web.endpoint import writing
from course_management.web.external_ids import chosen_ids, resolve
from course_management.web.rendering import json_response

bp = Blueprint("registrar", __name__)


def _mark_cancelled(session: Session, course: int | str, request: dict[str, Any]) -> Marked:
    return service.mark_cancelled(session, course)


@bp.post("/courses/<course:course>/cancel", endpoint="cancelCourse")
@writing(
    scope="registrar",
    body=ReasonOnly(),
    answer=schemas.CancelResult,
    errors=(CourseNotFound,),
    plans=True,
    begin=_mark_cancelled,
)
def cancel(
    session: Session,
    course: int | str,
    request: dict[str, Any],
    begun: bool,
    marked: Marked | None = None,
) -> Response:
    """Cancel a course: all students leave it, and nobody is promoted."""
    context = rules_context()
    result = service.cancel(session, course, request["reason"], context, begun=begun, marked=marked)
    return json_response(schemas.CancelResult, result)


@bp.post("/courses/<course:course>/move", endpoint="moveStudents")
@writing(
    scope="registrar",
    body=schemas.Move(),
    answer=schemas.MoveResult,
    errors=(
        CourseNotFound,
        StudentNotFound,
        EnrollmentNotFound,
        CourseCancelled,
        CourseClosed,
        CourseFull,
        WaitlistFull,
        service.CourseBusy,
    ),
    plans=True,
)
def move(session: Session, course: int | str, request: MoveRequest) -> Response:
    """Move students from one course to another: all of them or none."""
    if request.external_ids is not None:
        found = resolve(session, students.require_ids, request.external_ids)
        request = replace(request, student_ids=found)
    return json_response(
        schemas.MoveResult, service.move(session, course, request, rules_context())
    )


@bp.post("/courses/<course:course>/reinstate", endpoint="reinstateStudents")
@writing(
    scope="registrar",
    body=schemas.Reinstate(),
    answer=schemas.ReinstateResult,
    errors=(CourseNotFound, StudentNotFound, CourseCancelled, service.NothingToReinstate),
    plans=True,
)
def reinstate(session: Session, course: int | str, request: dict[str, Any]) -> Response:
    """Undo mistaken drops: give students back their seats and waitlist positions."""
    student_ids = chosen_ids(session, students.require_ids, request, "student_ids")
    result = service.reinstate(session, course, student_ids, request["reason"], rules_context())
    return json_response(schemas.ReinstateResult, result)
