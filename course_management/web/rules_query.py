"""The parameter `rules=skip`: a system of record states that students are enrolled, or are not any
more, and the rules of registration do not judge that.
"""

from __future__ import annotations

from marshmallow import fields, validate

from course_management.web import access
from course_management.web.parsing import query_pairs
from course_management.web.plans import PlanQuery
from course_management.web.rehearsal import WriteQuery
from course_management.web.request_context import current

SCOPE = "registrar"
_SKIP = "skip"


class RulesQuery(WriteQuery):
    """The query parameters of a write that the rules judge."""

    rules = fields.String(
        validate=validate.OneOf([_SKIP], error=f"Must be {_SKIP}, or be left out."),
        metadata={
            "description": "`skip`: do not judge the request by the rules of registration. Seats "
            "and the status of courses still count. Needs the scope `registrar`, and a `reason`.",
        },
    )


class PlanRulesQuery(RulesQuery, PlanQuery):
    """The query parameters of a write that the rules judge and that has plans."""


def skips_rules() -> bool:
    """Whether the current request skips the rules. Raises ScopeMissing if it may not."""
    query = current().query_string
    if not query or ("rules", _SKIP) not in query_pairs(query):
        return False
    access.require_scope(SCOPE)
    return True
