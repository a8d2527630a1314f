"""The errors of the service, independent of HTTP. web/problems.py gives each its status.

Clients read the docstring, title and remedy of an error class at /problems/{code}.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from course_management.core.problem_fields import CLASHES, FAULTS, OUTCOME, SCOPE, Fields


class Error(Exception):
    """A refusal: a published code that is never renamed, a title, a detail and a remedy.

    `detail` explains this case to a person; by default it is the title. `fields` are added to the
    problem document, for example `missing=[7, 8]`. The class declares the JSON schemas of these
    fields for OpenAPI: every document with this code has the fields of `always`, and some have
    those of `sometimes`. A class also has the fields that its base classes declare.
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
    """A student, course, term, enrollment or key that the request names does not exist."""


class Conflict(Error):
    """The request is valid, but the current state of the database forbids it."""

    sometimes = CLASHES


def summary(faults: Sequence[Mapping[str, Any]], first: str) -> str:
    """The sentence `first`, which describes the first of the faults, and the number of others."""
    return f"{first} ({len(faults) - 1} more in errors.)" if len(faults) > 1 else first


class Taken(Conflict):
    """Another row has a value that must be unique. `errors` lists every such value of the body.

    Each entry has a `pointer`, a `code` and a `detail`. It also has the `id` of the row that has
    the value, if the client may read that row.
    """

    pointer: ClassVar[str]
    always = CLASHES
    is_gone = False  # whether no row has the value any more

    def __init__(self, faults: Sequence[Mapping[str, Any]] = ()) -> None:
        listed = faults or [self.fault()]
        super().__init__(summary(listed, self.title), errors=listed)

    @classmethod
    def fault(cls, holder: int | None = None, within: str = "") -> dict[str, Any]:
        """The entry of `errors` for this value, in the part of the body to which `within` points.

        `holder` is the id of the row that has the value; None leaves the id out of the entry.
        """
        return {"pointer": within + cls.pointer, "code": cls.code, "detail": cls.title} | (
            {} if holder is None else {"id": holder}
        )


class ExternalIdTaken(Taken):
    """Two students cannot have the same external id, and neither can two courses, or two
    completions.
    """

    code = "external-id-taken"
    pointer = "/external_id"
    title = "This external id is taken."
    remedy = (
        "Find the student or course that has it with GET /students?external_id=… or GET "
        "/courses?external_id=…, or send another external id. `id` in errors is the id of the "
        "student, course or completion that has it."
    )


class Malformed(Error):
    """The body is not JSON in UTF-8 (RFC 8259), or it has more lists, objects or fields, or is
    nested more deeply, than this service accepts (RFC 8259, section 9).
    """

    code = "malformed-json"
    title = "The body cannot be read as JSON."
    remedy = (
        "Send one JSON value in UTF-8, without NaN, Infinity or a byte order mark, and check "
        "that it is complete."
    )


class Invalid(Error):
    """The request breaks a rule of its route. `errors` lists every fault of the request.

    A fault in the body has a `pointer` (RFC 6901), a fault in the query has a `parameter`, and a
    fault in a header has a `header`.
    """

    code = "invalid"
    title = "The request does not have the form this address asks for."
    remedy = (
        "Fix each fault that `errors` lists, then send the request again. /docs shows the form "
        "of every request."
    )
    always = FAULTS

    MAX_FAULTS = 1000

    def __init__(self, faults: list[dict[str, str]]) -> None:
        where = next(
            faults[0][kind] for kind in ("pointer", "parameter", "header") if kind in faults[0]
        )
        first = f"{where or 'The request'}: {faults[0]['detail']}"
        super().__init__(summary(faults, first), errors=faults[: self.MAX_FAULTS])


class NotAuthenticated(Error):
    """This route needs an API key, or a token of the school's sign-in, in the header
    `Authorization: Bearer`.
    """

    code = "not-authenticated"
    title = "This needs an API key or a token."
    remedy = (
        "Send the header Authorization: Bearer, then a space and your key (cm_…) or your token; "
        "the operator creates keys."
    )


class TokenInvalid(Error):
    """The API key or token in `Authorization` is unknown, expired, revoked, or issued for another
    service.
    """

    code = "token-invalid"
    title = "This API key or token is not valid."
    remedy = (
        "Check that you copied the whole key or token. Sign in again to get a new token, or ask "
        "the operator for a new key."
    )


class ScopeMissing(Error):
    """The API key or token is valid, but it lacks the scope that `scope` names.

    Students may read and change their own enrollments without this scope. The response is the
    same whether other students exist or not.
    """

    code = "scope-missing"
    title = "You may not do this."
    remedy = "Ask the operator for a key, or a role, with the scope that `scope` names."
    always = SCOPE

    def __init__(self, scope: str) -> None:
        super().__init__(f"This needs the scope {scope}.", scope=scope)


class Misdirected(Error):
    """The request names a host that is not this machine, and the setting `AUTH` does not say
    whether other machines may use the service.
    """

    code = "misdirected-request"
    title = "This service answers only to names of its own machine."
    remedy = (
        "Send the request to localhost or 127.0.0.1. To allow other names, the operator must set "
        "AUTH=required or AUTH=open."
    )


class Stale(Error):
    """`If-Match` does not name the current version, `If-None-Match` names it, or the route has no
    versions (RFC 9110, section 13.1).
    """

    code = "stale"
    title = "A precondition of the request does not hold."
    remedy = (
        "Read the resource again, apply your change to that version, and send its ETag in "
        "If-Match. If the resource has no ETag, send no If-Match."
    )


class PlanOutdated(Error):
    """The write would have another outcome than the rehearsal whose `Plan` the request sends in
    `plan`. Nothing was changed. `outcome` shows the outcome that it would have now.
    """

    code = "plan-outdated"
    title = "The write would have another outcome than the rehearsal."
    remedy = (
        "Read `outcome`. If you agree with it, rehearse again with ?dry_run=true and send the new "
        "Plan, or send the request without `plan`."
    )
    always = OUTCOME


class KeyReused(Error):
    """A different request of the last 24 hours has this Idempotency-Key."""

    code = "idempotency-key-reused"
    title = "This Idempotency-Key belongs to another request."
    remedy = (
        "Use a new key for every new request. Use the same key only to repeat exactly the same "
        "request."
    )


class Unavailable(Error):
    """The database is not reachable or too busy, or its schema does not fit this release."""

    code = "service-unavailable"
    title = "The service is not available right now."
    remedy = (
        "Wait for the seconds that Retry-After names and send the request again; with an "
        "Idempotency-Key that is safe."
    )


class CommitUncertain(Unavailable):
    """The connection to the database broke, or its standby did not confirm, while the change was
    being committed.

    The service cannot find out whether the change was made. Sending the same request again with
    the same `Idempotency-Key` is safe and shows the outcome.
    """

    code = "commit-uncertain"
    title = "It is not known whether the change was made."
    remedy = (
        "Wait for the seconds that Retry-After names and send the request again with the same "
        "Idempotency-Key: the change is never made twice. If you sent no key, read the current "
        "state first."
    )

    def __init__(self) -> None:
        super().__init__(
            "The change may have been made or not. Send the same request again with the same "
            "Idempotency-Key to find out: the change is never made twice."
        )


class Overloaded(Unavailable):
    """Every thread of the process has been busy for seconds. The service refuses the request
    instead of letting it wait without limit.
    """

    code = "overloaded"
    title = "The service has too many requests to serve."


class Repeat(Exception):
    """The work of a transaction raises it to be repeated from the start, without its locks. After
    several attempts `refusal` is raised instead (db/transaction.py).
    """

    def __init__(self, refusal: Error) -> None:
        super().__init__(refusal.detail)
        self.refusal = refusal
