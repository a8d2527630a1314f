"""What can be wrong, in the words of the service. Nothing here knows HTTP: `web/problems.py` gives each its status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class Error(Exception):
    """A refusal with a published code (never renamed), a title, a detail for a person and the remedy.

    `fields` join the answer, for example `missing=[7, 8]`.
    """

    code: ClassVar[str]
    title: ClassVar[str]
    remedy: ClassVar[str]

    def __init__(self, detail: str | None = None, **fields: Any) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.fields = fields


class NotFound(Error):
    """Something named by the request does not exist."""


class Conflict(Error):
    """The request is sound, but what stands in the database forbids it."""


def summary(faults: Sequence[Mapping[str, Any]], first: str) -> str:
    """The first of the faults as a sentence, and how many more there are."""
    return f"{first} ({len(faults) - 1} more in errors.)" if len(faults) > 1 else first


class Taken(Conflict):
    """A value that one row may have belongs to another; `errors` lists every such value of the body.

    Each has a `pointer`, a `code`, a `detail` and, where the caller may read it, the `id` of the row it belongs to.
    """

    pointer: ClassVar[str]

    def __init__(self, faults: Sequence[Mapping[str, Any]] = ()) -> None:
        listed = faults or [self.fault()]
        super().__init__(summary(listed, self.title), errors=listed)

    @classmethod
    def fault(cls, holder: int | None = None) -> dict[str, Any]:
        """The entry of `errors` for this value, with the id of its `holder` where that is to be told."""
        return {"pointer": cls.pointer, "code": cls.code, "detail": cls.title} | ({} if holder is None else {"id": holder})


class ExternalIdTaken(Taken):
    """An external id belongs to one student at most, and to one course at most."""

    code = "external-id-taken"
    pointer = "/external_id"
    title = "This external id is taken."
    remedy = "Find its owner with external_id=… on the list and change that one, or send another external id."


class Malformed(Error):
    """The body is not a JSON text in UTF-8 (RFC 8259)."""

    code = "malformed-json"
    title = "The body is not JSON."
    remedy = "Send one JSON value in UTF-8, without NaN, Infinity or a byte order mark, and check that it is complete."


class Invalid(Error):
    """The request breaks the rules of its form; `errors` names every fault at once.

    A fault in the body has a `pointer` (RFC 6901), one in the query a `parameter`, one in a header a `header`.
    """

    code = "invalid"
    title = "The request does not have the form this address asks for."
    remedy = "Mend each fault that `errors` lists, then send the request again. /docs shows the form of every request."

    MOST = 1000

    def __init__(self, faults: list[dict[str, str]]) -> None:
        where = next(faults[0][kind] for kind in ("pointer", "parameter", "header") if kind in faults[0])
        first = f"{where or 'The request'}: {faults[0]['detail']}"
        super().__init__(summary(faults, first), errors=faults[: self.MOST])


class NotAuthenticated(Error):
    """This address answers only whom it knows: an API key or a token of the school's sign-in in `Authorization: Bearer`."""

    code = "not-authenticated"
    title = "This needs an API key or a token."
    remedy = "Send the header Authorization: Bearer, then a space and your key (cm_…) or your token; the operator makes keys."


class TokenInvalid(Error):
    """The API key or token of `Authorization` is unknown, expired, revoked, or not meant for this service."""

    code = "token-invalid"
    title = "This API key or token is not valid."
    remedy = "Sign in again for a new token, or ask the operator for a new key; check that it was copied whole."


class ScopeMissing(Error):
    """The caller is known, but may not do this: it lacks the scope that `scope` names.

    A student may read and change its own enrollments without it, and nobody else's: whether they exist is not told.
    """

    code = "scope-missing"
    title = "You may not do this."
    remedy = "Ask the operator for a key, or a role, with the scope that `scope` names."

    def __init__(self, scope: str) -> None:
        super().__init__(f"This needs the scope {scope}.", scope=scope)


class Stale(Error):
    """The version that `If-Match` names is not the current one, or the address has none (RFC 9110, section 13.1.1)."""

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
    remedy = "Use a fresh key for every new request; send the same key only to repeat the very same request."


class Unavailable(Error):
    """The database is not reachable, too busy, or its tables are not at the version this service needs."""

    code = "service-unavailable"
    title = "The service cannot reach what it needs right now."
    remedy = "Wait for the seconds that Retry-After names and send the request again; with an Idempotency-Key that is safe."


class Overloaded(Unavailable):
    """Every thread of the process has been busy for seconds: the request is refused rather than left to wait for ever."""

    code = "overloaded"
    title = "The service has more to do than it can."
