"""What can be wrong, in the words of the service. Nothing here knows HTTP: `web/problems.py`
gives each its status.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

Fields = Mapping[str, Mapping[str, Any]]  # the fields of a problem document: names and JSON schemas

ID = {"type": "integer", "format": "int64", "minimum": 1, "example": 7}
COUNT = {"type": "integer", "format": "int32", "minimum": 0}


def list_of(*required: str, **properties: Any) -> dict[str, Any]:
    """The JSON schema of a list of objects; more properties may be added later."""
    return {
        "type": "array",
        "items": {"type": "object", "required": list(required), "properties": properties},
    }


MISSING: Fields = {
    "missing": {
        "type": "array",
        "items": ID,
        "description": "The ids of the body that do not exist.",
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
                "description": "The row that has the value already; only for callers who may "
                "read it.",
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


class Error(Exception):
    """A refusal with a published code (never renamed), a title, a detail for a person and the
    remedy.

    `fields` join the answer, for example `missing=[7, 8]`. The class declares their JSON schemas,
    which OpenAPI shows: every answer of this code has the fields of `always` and may have those of
    `sometimes`. Both include the fields of the base classes.
    """

    code: ClassVar[str]
    title: ClassVar[str]
    remedy: ClassVar[str]
    always: ClassVar[Fields] = {}
    sometimes: ClassVar[Fields] = {}

    def __init__(self, detail: str | None = None, **fields: Any) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.fields = fields


class NotFound(Error):
    """Something named by the request does not exist."""


class Conflict(Error):
    """The request is sound, but what stands in the database forbids it."""

    sometimes = CLASHES


def summary(faults: Sequence[Mapping[str, Any]], first: str) -> str:
    """The first of the faults as a sentence, and how many more there are."""
    return f"{first} ({len(faults) - 1} more in errors.)" if len(faults) > 1 else first


class Taken(Conflict):
    """A value that one row may have belongs to another; `errors` lists every such value of the
    body.

    Each has a `pointer`, a `code`, a `detail` and, where the caller may read it, the `id` of the
    row it belongs to.
    """

    pointer: ClassVar[str]
    always = CLASHES

    def __init__(self, faults: Sequence[Mapping[str, Any]] = ()) -> None:
        listed = faults or [self.fault()]
        super().__init__(summary(listed, self.title), errors=listed)

    @classmethod
    def fault(cls, holder: int | None = None) -> dict[str, Any]:
        """The entry of `errors` for this value, with the id of its `holder` where that is to be
        told.
        """
        return {"pointer": cls.pointer, "code": cls.code, "detail": cls.title} | (
            {} if holder is None else {"id": holder}
        )


class ExternalIdTaken(Taken):
    """An external id belongs to one student at most, and to one course at most."""

    code = "external-id-taken"
    pointer = "/external_id"
    title = "This external id is taken."
    remedy = (
        "Find its owner with external_id=… on the list and change that one, or send another "
        "external id."
    )


class Malformed(Error):
    """The body is not a JSON text in UTF-8 (RFC 8259), or one of more parts, or deeper, than is
    read here (its section 9).
    """

    code = "malformed-json"
    title = "The body cannot be read as JSON."
    remedy = (
        "Send one JSON value in UTF-8, without NaN, Infinity or a byte order mark, and check "
        "that it is complete."
    )


class Invalid(Error):
    """The request breaks the rules of its form; `errors` names every fault at once.

    A fault in the body has a `pointer` (RFC 6901), one in the query a `parameter`, one in a header
    a `header`.
    """

    code = "invalid"
    title = "The request does not have the form this address asks for."
    remedy = (
        "Mend each fault that `errors` lists, then send the request again. /docs shows the form "
        "of every request."
    )
    always = {
        "errors": {
            **list_of(
                "detail",
                pointer={
                    "type": "string",
                    "description": "The place in the body (RFC 6901).",
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
                    "description": "What is wrong there.",
                    "example": "This field is required.",
                },
            ),
            "description": "Every fault of the request, each with one of `pointer`, `parameter` "
            "and `header`.",
            "example": [{"pointer": "/name", "detail": "This field is required."}],
        },
    }

    MOST = 1000

    def __init__(self, faults: list[dict[str, str]]) -> None:
        where = next(
            faults[0][kind] for kind in ("pointer", "parameter", "header") if kind in faults[0]
        )
        first = f"{where or 'The request'}: {faults[0]['detail']}"
        super().__init__(summary(faults, first), errors=faults[: self.MOST])


class NotAuthenticated(Error):
    """This address answers only whom it knows: an API key or a token of the school's sign-in in
    `Authorization: Bearer`.
    """

    code = "not-authenticated"
    title = "This needs an API key or a token."
    remedy = (
        "Send the header Authorization: Bearer, then a space and your key (cm_…) or your token; "
        "the operator makes keys."
    )


class TokenInvalid(Error):
    """The API key or token of `Authorization` is unknown, expired, revoked, or not meant for
    this service.
    """

    code = "token-invalid"
    title = "This API key or token is not valid."
    remedy = (
        "Sign in again for a new token, or ask the operator for a new key; check that it was "
        "copied whole."
    )


class ScopeMissing(Error):
    """The caller is known, but may not do this: it lacks the scope that `scope` names.

    A student may read and change its own enrollments without it, and nobody else's: whether they
    exist is not told.
    """

    code = "scope-missing"
    title = "You may not do this."
    remedy = "Ask the operator for a key, or a role, with the scope that `scope` names."
    always = {
        "scope": {
            "type": "string",
            "description": "The scope that the caller lacks.",
            "example": "courses:write",
        }
    }

    def __init__(self, scope: str) -> None:
        super().__init__(f"This needs the scope {scope}.", scope=scope)


class Misdirected(Error):
    """The request names a host that is not this machine, and nobody has said that others may use
    the service (`AUTH`).
    """

    code = "misdirected-request"
    title = "This service answers only to names of its own machine."
    remedy = (
        "Ask for it at localhost or 127.0.0.1; or set AUTH=required, or AUTH=open to let in "
        "everybody by any name."
    )


class Stale(Error):
    """The version that `If-Match` names is not the current one, or the address has none (RFC
    9110, section 13.1.1).
    """

    code = "stale"
    title = "A precondition of the request does not hold."
    remedy = (
        "Read it again, apply your change to what you get, and send the new ETag in If-Match; "
        "where the address has no ETag, send no If-Match."
    )


class KeyReused(Error):
    """This Idempotency-Key stands for another request, answered within the last 24 hours."""

    code = "idempotency-key-reused"
    title = "This Idempotency-Key belongs to another request."
    remedy = (
        "Use a fresh key for every new request; send the same key only to repeat the very same "
        "request."
    )


class Unavailable(Error):
    """The database is not reachable, too busy, or its tables are not at the version this service
    needs.
    """

    code = "service-unavailable"
    title = "The service cannot reach what it needs right now."
    remedy = (
        "Wait for the seconds that Retry-After names and send the request again; with an "
        "Idempotency-Key that is safe."
    )


class CommitUncertain(Unavailable):
    """The database broke off, or its standby did not confirm, while the change was being committed.

    The change may have been made or not, and nobody can tell now: the same request under the same
    `Idempotency-Key` finds out.
    """

    code = "commit-uncertain"
    title = "It is not known whether the change was made."
    remedy = (
        "Wait for the seconds that Retry-After names and send the request again with the same "
        "Idempotency-Key: what was done is"
        " answered and not done twice. Without a key, read first what is there."
    )

    def __init__(self) -> None:
        super().__init__(
            "The change may have been made or not. The same request with the same "
            "Idempotency-Key decides: it is"
            " answered with what was done, or done now."
        )


class Overloaded(Unavailable):
    """Every thread of the process has been busy for seconds: the request is refused rather than
    left to wait for ever.
    """

    code = "overloaded"
    title = "The service has more to do than it can."
