"""Authorization: decides whether the principal may use a route, before reading its body or rows.

Every route declares the scope that it needs, or that it is public. If a route declares nothing,
the app does not start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from flask import Flask, Request, Response, current_app, g
from werkzeug.routing import Rule

from course_management.core.errors import Error, NotAuthenticated, ScopeMissing, TokenInvalid
from course_management.core.principal import IDENTITIES, RECORDS, SCOPES, Principal
from course_management.telemetry.logs import actor, info
from course_management.web.request_context import current

PUBLIC = "public"
OPEN, REQUIRED = "open", "required"
# The key of the request's principal in the WSGI environment. Headers cannot set it. Commands
# (ops/cli.py) set it to send requests without a token.
PRINCIPAL_KEY = "course_management.principal"

View = TypeVar("View", bound=Callable[..., Any])
Authenticate = Callable[[str], Principal]


@dataclass(frozen=True, slots=True)
class Need:
    """The scope that a route needs, or PUBLIC.

    With `allow_self`, the student that the path names needs no scope.
    """

    scope: str | None
    allow_self: bool = False


def needs(scope: str) -> Callable[[View], View]:
    """Declare the scope (or PUBLIC) of a view that has neither @reading nor @writing."""

    def declare(view: View) -> View:
        view.endpoint = Need(scope)  # type: ignore[attr-defined]  # read by `need_of`
        return view

    return declare


def need_of(app: Flask, rule: Rule) -> Need:
    """The scope that a route needs. Raises RuntimeError if it declares none, or an unknown one."""
    declared = getattr(app.view_functions[rule.endpoint], "endpoint", Need(None))
    if declared.scope not in (PUBLIC, *SCOPES):
        raise RuntimeError(
            f"The route {rule.rule} declares no scope: give it one of "
            f"{', '.join((PUBLIC, *SCOPES))}."
        )
    return Need(declared.scope, declared.allow_self if declared.scope != PUBLIC else False)


def own_name() -> str | None:
    """The name of the principal if the request was admitted by `allow_self` alone; None if a scope
    admitted it.
    """
    return getattr(g, "own_name", None)


def refuse_new_identity(given: Mapping[str, Any], student: Any = None) -> None:
    """Raise ScopeMissing if the request changes the attribute by which sign-ins recognise students
    and the principal lacks the scope `identities:write`.

    `given` has the attributes that the request sets. `student` is the student whom the request
    changes, or None for a new student. Without this check, a principal who may change the attribute
    could sign in as any student. Setting the value that the student has already is allowed.
    """
    attribute = current_app.config["IDENTITY"]
    if (
        attribute is None
        or attribute not in given
        or given[attribute] == getattr(student, attribute, None)
    ):
        return
    require_scope(IDENTITIES)


def refuse_new_groups(given: Mapping[str, Any], student: Any = None) -> None:
    """Raise ScopeMissing if the request changes the groups of a student and the principal lacks the
    scope `records:write`. The arguments are those of `refuse_new_identity`.
    """
    groups = [] if student is None else student.groups
    if given.get("groups", groups) != groups:
        require_scope(RECORDS)


def require_scope(scope: str) -> None:
    """Raise ScopeMissing if the principal lacks this scope."""
    if not may(scope):
        refusal = ScopeMissing(scope)
        _log(refusal)
        raise refusal


def _log(refusal: Error) -> None:
    info("access refused", code=refusal.code, reason=refusal.detail)


def may(scope: str) -> bool:
    """Whether the principal has this scope; always true if requests need no authentication."""
    principal = current().environ.get(PRINCIPAL_KEY)
    return principal is None or scope in principal.scopes


def init_app(app: Flask, authenticate: Authenticate | None) -> None:
    """Check the principal and its scopes for every request to `app`.

    `authenticate` returns the principal of a bearer token; with None, every client may do
    everything. Call this after all routes are registered. Raises RuntimeError if a route declares
    no scope.
    """
    needed = {rule.endpoint: need_of(app, rule) for rule in app.url_map.iter_rules()}
    app.after_request(partial(_set_cache_control, needed))
    if authenticate is None:
        return

    def decide() -> None:
        request = current()
        # OPTIONS is public: browsers send preflight requests (CORS) without credentials.
        if request.url_rule is None or request.method == "OPTIONS":
            return
        need = needed[request.url_rule.endpoint]
        if need.scope == PUBLIC:
            return
        try:
            principal = request.environ.get(PRINCIPAL_KEY) or _principal(request, authenticate)
            request.environ[PRINCIPAL_KEY] = principal
            _admit(need, request, principal)
        except (NotAuthenticated, TokenInvalid, ScopeMissing) as refusal:
            _log(refusal)
            raise

    app.before_request(decide)


def _set_cache_control(needed: dict[str, Need], answer: Response) -> Response:
    """Make caches revalidate every response (RFC 9111, section 5.2.2.4). Shared caches may store
    only the responses of public routes (section 5.2.2.7).
    """
    rule = current().url_rule
    if rule is not None and needed[rule.endpoint].scope != PUBLIC:
        answer.headers.add("Cache-Control", "private, no-cache")
    elif not answer.direct_passthrough:  # a file, for which Flask has set its own
        answer.headers.add("Cache-Control", "no-cache")
    return answer


def _principal(request: Request, authenticate: Authenticate) -> Principal:
    """The principal of the request's bearer token (RFC 6750, section 2.1).

    Raises NotAuthenticated if the request has no token, and TokenInvalid.
    """
    scheme, _, token = request.environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise NotAuthenticated
    return authenticate(token.strip())


def _admit(need: Need, request: Request, principal: Principal) -> None:
    """Raise ScopeMissing if the principal may not use the route.

    The response is the same whether the resource in the path exists or not.
    """
    actor.set(principal.name)
    if need.scope in principal.scopes:
        return
    if (
        need.allow_self
        and principal.student_id is not None
        and (request.view_args or {})["student_id"] == principal.student_id
    ):
        g.own_name = principal.name
        return
    raise ScopeMissing(str(need.scope))
