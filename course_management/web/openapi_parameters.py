"""The parameters of operations in the OpenAPI document, besides those of the query."""

from __future__ import annotations

from typing import Any

from course_management.db.base import MAX_ID
from course_management.web.fields import TEXT

_ID = {"type": "integer", "format": "int64", "minimum": 1, "maximum": MAX_ID}
# The parameters have no examples, because /docs would fill them in, and trying DELETE would then
# delete that course.
PATH: dict[str, dict[str, Any]] = {
    "course": {
        "schema": {"type": "string", "minLength": 1},
        "description": "The course's id, such as `7`, or its percent-encoded name, ignoring case.",
    },
    "code": {
        "schema": {"type": "string", "minLength": 1},
        "description": "The code, percent-encoded, ignoring case.",
    },
    "external_id": {
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": TEXT},
        "description": "The external id, percent-encoded.",
    },
    "course_id": {"schema": _ID, "description": "The course's id, such as `7`."},
    "student_id": {"schema": _ID, "description": "The student's id, such as `1`."},
    "completion_id": {"schema": _ID, "description": "The completion's id, such as `5`."},
    "hold_id": {"schema": _ID, "description": "The hold's id, such as `5`."},
    "override_id": {"schema": _ID, "description": "The override's id, such as `5`."},
    "group": {
        "schema": {
            "type": "string",
            "minLength": 1,
            "maxLength": 64,
            "pattern": "^[a-z0-9][a-z0-9._-]*(:[a-z0-9][a-z0-9._-]*)?$",
        },
        "description": "The name of the group, such as `program:cs`.",
    },
}
KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-+.-~-]+$"},
    "description": "The same request with the same key takes effect once and gets the same "
    "response for 24 hours.",
}
IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "schema": {"type": "string"},
    "description": "An ETag: the request is refused (412) if it is no longer current.",
}
IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "schema": {"type": "string"},
    "description": "An ETag: the response is 304 if it is still current.",
}
PREFER = {
    "name": "Prefer",
    "in": "header",
    "schema": {"type": "string", "examples": ["count=exact"]},
    "description": "`count=exact` counts the filtered list: the response then has "
    "`Total-Count` (RFC 7240).",
}
