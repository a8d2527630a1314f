"""Who may do what: decided before the body is read and before any row is.

Every route declares the scope it needs, or that it is public; an app with a route that does not,
does not start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from flask import Flask, Request, Response, current_app, g
from werkzeug.routing import Rule

from course_management.core.errors import Error, NotAuthenticated, ScopeMissing, TokenInvalid
from course_management.core.principal import IDENTITIES, SCOPES, Principal
from course_management.telemetry.logs import actor, info
from course_management.web.request_context import current

PUBLIC = "public"
OPEN, REQUIRED = "open", "required"
INTERNAL = (
    # in the WSGI environment, where no header can put it: the caller, a command's from the start
    "course_management.principal"
)

View = TypeVar("View", bound=Callable[..., Any])
Authenticate = Callable[[str], Principal]


@dataclass(frozen=True, slots=True)
class Need:
    """What a route asks of its caller: a scope or PUBLIC; with `allow_self`, the student named
    by the path needs no scope.
    """

    scope: str | None
    allow_self: bool = False


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
        raise RuntimeError(
            f"The route {rule.rule} declares no scope: give it one of "
            f"{', '.join((PUBLIC, *SCOPES))}."
        )
    return Need(declared.scope, declared.allow_self if declared.scope != PUBLIC else False)


def own_name() -> str | None:
    """The caller's name, where it is let in as the student that the path names; None where a
    scope lets it in.
    """
    return getattr(g, "own_name", None)


def refuse_new_identity(given: Mapping[str, Any], student: Any = None) -> None:
    """Refuse to have a student recognised by something new, where the caller may not say who is who
    (`identities:write`).

    `given` is what the request sets, and `student` what it is set of, if it exists. Who is signed
    in as a student goes by one of its attributes: whoever may change that may become anybody. The
    same value again changes nothing. Raises ScopeMissing.
    """
    attribute = current_app.config["IDENTITY"]
    if (
        attribute is None
        or attribute not in given
        or given[attribute] == getattr(student, attribute, None)
    ):
        return
    if IDENTITIES not in current().environ[INTERNAL].scopes:
        refusal = ScopeMissing(IDENTITIES)
        _log(refusal)
        raise refusal


def _log(refusal: Error) -> None:
    info("access refused", code=refusal.code, reason=refusal.detail)


def may(scope: str) -> bool:
    """Whether the caller has this scope; everybody has, where nobody is asked."""
    caller = current().environ.get(INTERNAL)
    return caller is None or scope in caller.scopes


def init_app(app: Flask, authenticate: Authenticate | None) -> None:
    """Have every request of `app` judged; without `authenticate` every caller may do everything,
    and nobody is asked.

    Called when all routes are there. Raises RuntimeError where one of them declares no scope.
    """
    table = {rule.endpoint: need_of(app, rule) for rule in app.url_map.iter_rules()}
    app.after_request(partial(_say_who_may_keep, table))
    if authenticate is None:
        return

    def decide() -> None:
        request = current()
        # What an address would take (OPTIONS) is no secret, and a browser asks it without
        # credentials (CORS).
        if request.url_rule is None or request.method == "OPTIONS":
            return
        need = table[request.url_rule.endpoint]
        if need.scope == PUBLIC:
            return
        try:
            caller = request.environ[INTERNAL] = request.environ.get(INTERNAL) or _caller(
                request, authenticate
            )
            _admit(need, request, caller)
        except (NotAuthenticated, TokenInvalid, ScopeMissing) as refusal:
            _log(refusal)
            raise

    app.before_request(decide)


def _say_who_may_keep(table: dict[str, Need], answer: Response) -> Response:
    """Have every answer asked for again before it is used again (RFC 9111), and kept by nobody
    between where it is for one.
    """
    rule = current().url_rule
    if rule is not None and table[rule.endpoint].scope != PUBLIC:
        answer.headers.add("Cache-Control", "private, no-cache")
    elif "Cache-Control" not in answer.headers:  # the files of /docs say how long they may be kept
        answer.headers.add("Cache-Control", "no-cache")
    return answer


def _caller(request: Request, authenticate: Authenticate) -> Principal:
    """Who sends the request (RFC 6750, section 2.1). Raises NotAuthenticated or TokenInvalid."""
    scheme, _, token = request.environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise NotAuthenticated
    return authenticate(token.strip())


def _admit(need: Need, request: Request, caller: Principal) -> None:
    """Let the caller in. Raises ScopeMissing, alike whether what the path names exists or not."""
    actor.set(caller.name)
    if need.scope in caller.scopes:
        return
    if (
        need.allow_self
        and caller.student_id is not None
        and (request.view_args or {})["student_id"] == caller.student_id
    ):
        g.own_name = caller.name
        return
    raise ScopeMissing(str(need.scope))
