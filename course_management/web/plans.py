"""Plans: a rehearsal answers with the header `Plan`, the digest of its outcome. A write with
`?plan=` and this digest is done only if its outcome is the same.

So a registrar sees what an act does to a whole course, and does that or nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Response
from marshmallow import validate
from sqlalchemy.orm import Session

from course_management.core.errors import PlanOutdated
from course_management.core.outcome import OUTCOME, Outcome
from course_management.web.fields import Text
from course_management.web.rehearsal import WriteQuery

HEADER = "Plan"


class PlanQuery(WriteQuery):
    """The query parameters of a write with plans."""

    plan = Text(
        1,
        64,
        load_default=None,
        also=[validate.Regexp("^[0-9a-f]+$", error="Must be the Plan of a rehearsal.")],
        metadata={
            "pattern": "^[0-9a-f]+$",
            "description": "The `Plan` of a rehearsal: write only if the outcome is the same.",
            "example": "5df6e0e2761359d30a8275058e299fcc",
        },
    )


def planned(
    view: Callable[..., Response], plan: str | None, *, rehearse: bool
) -> Callable[..., Response]:
    """The view with its plan. Raises PlanOutdated if its outcome is another one than that of
    `plan`.
    """

    def run(session: Session, **given: Any) -> Response:
        session.info[OUTCOME] = outcome = Outcome()
        response = view(session, **given)
        digest = outcome.digest()
        if plan not in (None, digest):
            raise PlanOutdated(outcome=outcome.document())
        if rehearse:
            response.headers[HEADER] = digest
        return response

    return run
