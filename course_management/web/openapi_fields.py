"""The JSON Schemas of this service's own fields (fields.py) and of the parameters of paths, for the
OpenAPI document.
"""

from __future__ import annotations

from typing import Any

from flask import current_app

from course_management.db.base import MAX_ID
from course_management.web.fields import TEXT, Count, Credits, Id, Level, Text, Total

_ID = {"type": "integer", "format": "int64", "minimum": 1, "maximum": MAX_ID}
# The parameters of paths. They have no examples, because /docs would fill them in, and trying
# DELETE would then delete that course.
PARAMETERS: dict[str, dict[str, Any]] = {
    "course": {
        "schema": {"type": "string", "minLength": 1},
        "description": "The course's id, such as `7`, or its percent-encoded name, ignoring case.",
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


def bounds(self: Any, field: Any, **_: Any) -> dict[str, Any]:
    """The JSON Schema of this service's own fields, in addition to that of their validators.

    A field that only one feature uses may have a method `json_schema`, which returns it.
    """
    if hasattr(field, "json_schema"):
        return dict(field.json_schema())
    if isinstance(field, Level) and current_app.config["COURSE_LEVELS"]:
        return {"enum": list(current_app.config["COURSE_LEVELS"])}
    if isinstance(field, Text):
        return {
            "type": ["string", "null"] if field.allow_none else "string",
            "pattern": field.metadata.get("pattern", TEXT),
        }
    if isinstance(field, (Count, Total)):
        return {"format": "int32"}
    if isinstance(field, Credits):
        return {"format": "double"}
    return {"format": "int64"} if isinstance(field, Id) else {}
