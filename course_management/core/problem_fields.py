"""JSON schemas of the extra fields of problem documents, for the OpenAPI document.

Error classes name them in `always` and `sometimes` (errors.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Field names of a problem document, each with its JSON schema.
Fields = Mapping[str, Mapping[str, Any]]

ID = {"type": "integer", "format": "int64", "minimum": 1, "example": 7}
COUNT = {"type": "integer", "format": "int32", "minimum": 0}


def list_of(*required: str, **properties: Any) -> dict[str, Any]:
    """The JSON schema of a list of objects with these properties.

    Every object has the properties that `required` names. Later releases may add properties.
    """
    return {
        "type": "array",
        "items": {"type": "object", "required": list(required), "properties": properties},
    }


MISSING: Fields = {
    "missing": {
        "type": "array",
        "items": {"oneOf": [ID, {"type": "string", "example": "S-2026-0042"}]},
        "description": "The ids, or the external ids, of the body that do not exist.",
        "example": [77],
    },
}

CLASHES: Fields = {
    "errors": {
        **list_of(
            *("pointer", "code", "detail"),
            pointer={
                "type": "string",
                "description": "The field of the body (RFC 6901).",
                "example": "/email",
            },
            code={
                "type": "string",
                "description": "The problem code of this conflict.",
                "example": "student-email-taken",
            },
            detail={"type": "string", "example": "Another student has this e-mail address."},
            id={
                **ID,
                "description": "The id of the row that has the value already. Sent only to "
                "clients that may read that row.",
            },
        ),
        "description": "Every conflict of the request.",
        "example": [
            {
                "pointer": "/email",
                "code": "student-email-taken",
                "detail": "Another student has this e-mail address.",
            }
        ],
    },
}

FAULTS: Fields = {
    "errors": {
        **list_of(
            "detail",
            pointer={
                "type": "string",
                "description": "The part of the body that is not valid (RFC 6901).",
                "example": "/course_ids/1",
            },
            parameter={
                "type": "string",
                "description": "The query parameter.",
                "example": "limit",
            },
            header={
                "type": "string",
                "description": "The header.",
                "example": "Idempotency-Key",
            },
            detail={
                "type": "string",
                "description": "The rule that this part of the request breaks.",
                "example": "This field is required.",
            },
        ),
        "description": "Every fault of the request, each with one of `pointer`, `parameter` "
        "and `header`.",
        "example": [{"pointer": "/name", "detail": "This field is required."}],
    },
}

_STATE = {"type": ["string", "null"], "example": "enrolled"}

OUTCOME: Fields = {
    "outcome": {
        "type": "object",
        "required": ["moves", "courses"],
        "properties": {
            "moves": {
                **list_of(
                    *("student_id", "course_id", "from", "to", "why"),
                    **{"student_id": ID, "course_id": ID, "from": _STATE, "to": _STATE},
                    why={"type": "string", "example": "cancelled"},
                ),
                "description": "Each change of an enrollment.",
            },
            "courses": {
                **list_of(
                    *("id", "status", "capacity", "waitlist_capacity"),
                    id=ID,
                    status={"type": "string", "example": "open"},
                    capacity={**COUNT, "type": ["integer", "null"]},
                    waitlist_capacity={**COUNT, "type": ["integer", "null"]},
                ),
                "description": "The courses afterwards.",
            },
        },
        "example": {
            "moves": [
                {
                    "student_id": 1,
                    "course_id": 7,
                    "from": "enrolled",
                    "to": None,
                    "why": "cancelled",
                }
            ],
            "courses": [{"id": 7, "status": "cancelled", "capacity": 30, "waitlist_capacity": 0}],
        },
    },
}

SCOPE: Fields = {
    "scope": {
        "type": "string",
        "description": "The scope that the principal lacks.",
        "example": "courses:write",
    }
}
