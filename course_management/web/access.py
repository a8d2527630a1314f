"""Who may do what: decided before the body is read and before any row is.

Every route declares the scope it needs, or that it is public; an app with a route that does not, does not start.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from flask import Flask, Request, Response, g
from werkzeug.routing import Rule

from course_management.callers import SCOPES, Caller
from course_management.errors import NotAuthenticated, ScopeMissing, TokenInvalid
from course_management.logs import actor, info
from course_management.web.requests import current

PUBLIC = "public"
OPEN, REQUIRED = "open", "required"
INTERNAL = "course_management.caller"  # in the WSGI environment, where no header can put it: the caller of a command's request

View = TypeVar("View", bound=Callable[..., Any])
Authenticate = Callable[[str], Caller]


@dataclass(frozen=True, slots=True)
class Need:
    """What a route asks of its caller: a scope or PUBLIC; with `own`, the student named by the path needs no scope."""

    scope: str | None
    own: bool = False


def needs(scope: str) -> Callable[[View], View]:
    """Declare the scope (or PUBLIC) of a view that is neither @reading nor @writing."""

    def declare(view: View) -> View:
        view.endpoint = Need(scope)  # type: ignore[attr-defined]  # read by `need_of`
        return view

    return declare


def need_of(app: Flask, rule: Rule) -> Need:
    """What the route needs. Raises RuntimeError where it does not say, or says what is no scope."""
    declared = getattr(app.view_functions[rule.endpoint], "endpoint", Need(None))
    if declared.scope not in (PUBLIC, *SCOPES):
        raise RuntimeError(f"The route {rule.rule} declares no scope: give it one of {', '.join((PUBLIC, *SCOPES))}.")
    return Need(declared.scope, declared.own if declared.scope != PUBLIC else False)


def own_name() -> str | None:
    """The caller's name, where it is let in as the student that the path names; None where a scope lets it in."""
    return getattr(g, "own_name", None)


def may(scope: str) -> bool:
    """Whether the caller has this scope; everybody has, where nobody is asked."""
    return scope in g.get("scopes", SCOPES)


def init_app(app: Flask, authenticate: Authenticate | None) -> None:
    """Have every request of `app` judged; without `authenticate` every caller may do everything, and nobody is asked.

    Called when all routes are there. Raises RuntimeError where one of them declares no scope.
    """
    table = {rule.endpoint: need_of(app, rule) for rule in app.url_map.iter_rules()}
    if authenticate is None:
        return

    def decide() -> None:
        request = current()
        # What an address would take (OPTIONS) is no secret, and a browser asks it without credentials (CORS).
        if request.url_rule is None or request.method == "OPTIONS":
            return
        need = table[request.url_rule.endpoint]
        if need.scope == PUBLIC:
            return
        try:
            _admit(need, request, request.environ.get(INTERNAL) or _caller(request, authenticate))
        except (NotAuthenticated, TokenInvalid, ScopeMissing) as refusal:
            info("access refused", code=refusal.code, reason=refusal.detail)
            raise

    def keep_private(answer: Response) -> Response:
        rule = current().url_rule
        if rule is not None and table[rule.endpoint].scope != PUBLIC:
            answer.headers.add("Cache-Control", "private, no-cache")
        return answer

    app.before_request(decide)
    app.after_request(keep_private)


def _caller(request: Request, authenticate: Authenticate) -> Caller:
    """Who sends the request (RFC 6750, section 2.1). Raises NotAuthenticated or TokenInvalid."""
    scheme, _, token = request.environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise NotAuthenticated
    return authenticate(token.strip())


def _admit(need: Need, request: Request, caller: Caller) -> None:
    """Let the caller in. Raises ScopeMissing, alike whether what the path names exists or not."""
    actor.set(caller.name)
    g.scopes = caller.scopes
    if need.scope in caller.scopes:
        return
    if need.own and caller.student_id is not None and (request.view_args or {})["student_id"] == caller.student_id:
        g.own_name = caller.name
        return
    raise ScopeMissing(str(need.scope))
