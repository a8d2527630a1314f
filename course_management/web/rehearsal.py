"""Rehearsals: a write with `?dry_run=true` gets the response that the write would get, and changes
nothing.

The transaction runs to its end and is rolled back by its owner (db/transaction.py), so this holds
for every route. It needs no rehearsal of its own.
"""

from __future__ import annotations

from flask import Flask, Response

from course_management.web.fields import FlagParameter, StrictSchema
from course_management.web.parsing import query_pairs
from course_management.web.request_context import current

HEADER = "Dry-Run"
PARAMETER = "dry_run"
# Headers that would name something that does not exist.
_REMOVED = ("Location", "ETag")
_READS = frozenset({"GET", "HEAD", "OPTIONS"})


class WriteQuery(StrictSchema):
    """The query parameter of every write."""

    dry_run = FlagParameter(
        load_default=False,
        metadata={
            "description": "Answer as the write would, and change nothing. Ids of new rows are "
            "placeholders. An Idempotency-Key is ignored.",
            "default": False,
        },
    )


def init_app(app: Flask) -> None:
    """Mark the responses to rehearsals, refusals too: `Dry-Run: true`."""
    app.after_request(_mark)


def _mark(response: Response) -> Response:
    request = current()
    query = request.query_string
    if not query or request.method in _READS or (PARAMETER, "true") not in query_pairs(query):
        return response
    response.headers[HEADER] = "true"
    for name in _REMOVED:
        response.headers.pop(name, None)
    return response
