"""The JSON Schemas of this service's own fields (fields.py) and of the parameters of paths, for the
OpenAPI document.
"""

from __future__ import annotations

from typing import Any

from flask import current_app
from marshmallow import fields

from course_management.web.fields import TEXT, Count, Credits, Id, Level, Text, Total


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
    if isinstance(field, fields.Dict):
        return {"additionalProperties": True}
    if isinstance(field, Credits):
        return {"format": "double"}
    return {"format": "int64"} if isinstance(field, Id) else {}
