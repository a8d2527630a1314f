"""The decorators @reading and @writing, with which a view declares its contract.

A request is checked in this order: its principal (access.py), its query, its body; then, inside the
transaction, its Idempotency-Key; then the view runs. So a request with a malformed query or body
costs the database nothing. The OpenAPI document is made from the same declarations (openapi.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any

from flask import Response
from marshmallow import Schema
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from course_management.core.errors import Error, PlanOutdated, Stale, Taken
from course_management.db import integrity, transaction
from course_management.web import (
    access,
    csv_lists,
    idempotency,
    parsing,
    plans,
    rehearsal,
    rules_query,
)
from course_management.web.fields import StrictSchema
from course_management.web.raw_path import as_code, as_course
from course_management.web.request_context import current

View = Callable[..., Response]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The contract of a view.

    - `scope`: the scope that the principal needs, or PUBLIC. With `allow_self`, the student that
      the path names as `student_id` needs no scope.
    - `query`, `body`: the schemas of the query and of the JSON body. The view gets the loaded
      objects as `query` and `request`.
    - `answer`: the schema of the response or, with `is_list`, of each item of a list. A list is
      JSON or CSV (csv_lists.py). Unless `counts` is False, the query of a list has `counted` if the
      client prefers that. `status`: the statuses of success.
    - `errors`: the errors that OpenAPI shows besides those that every request may get.
    - `etag`: the response has an ETag, and preconditions apply; to a POST, which usually creates
      something, only if it is `conditional`.
    - `precheck`: called before the transaction begins, with a connection and the arguments of the
      view. It may refuse the request; the view gets its result as `request`.
    - `clashes`: called after a unique constraint has refused the request, with a connection and the
      arguments of the view. It finds every value that is taken: its error,
      the id of the row that has it and, in a list, the pointer to the item.
    - `plans`: rehearsals have a Plan, and the write takes it (plans.py).
    - `begin`: called in a transaction of its own before that of the view, with a session and the
      arguments of the view. What it did stays if the service ends in between; a repetition of the
      request calls only the view. A rehearsal and a write with a plan have one transaction: the
      view then does the work of both. It is told by its argument `begun`. Its argument `marked` is
      what `begin` returned, or None if this request did not call it.
    - `upserts`: the view creates what the request names, or changes it. Another request may create
      it at the same moment: if no value is taken by then, the view is called once more.
    - `no_database`: the view needs no database.
    """

    writes: bool
    scope: str | None = None
    allow_self: bool = False
    query: Schema | None = None
    body: StrictSchema | None = None
    answer: type[Schema] | None = None
    is_list: bool = False
    counts: bool = True
    status: tuple[int, ...] = (200,)
    errors: tuple[type[Error], ...] = ()
    etag: bool = False
    conditional: bool = False
    precheck: Callable[..., Any] | None = None
    clashes: Callable[..., Sequence[tuple[Any, ...]]] | None = None
    plans: bool = False
    begin: Callable[..., Any] | None = None
    upserts: bool = False
    no_database: bool = False

    def compares_tags(self, method: str) -> bool:
        """Whether a request with this method may have If-Match."""
        return self.etag and (method != "POST" or self.conditional)

    def require_tags(self, method: str) -> None:
        """Raise Stale if a request with this method may not have If-Match.

        The client relies on the precondition, so the service must not ignore it.
        """
        if not self.compares_tags(method):
            raise Stale(
                "This resource has no ETag to compare with If-Match: send the request without "
                "If-Match."
            )


def reading(**declared: Any) -> Callable[[View], View]:
    """Declare a view that only reads (`Endpoint`). It gets a connection, and the values of the path
    by name.
    """
    return _endpoint(Endpoint(writes=False, **declared))


def writing(**declared: Any) -> Callable[[View], View]:
    """Declare a view that runs in a transaction (`Endpoint`): returning commits, raising rolls
    back. It gets the session, and the values of the path by name. With `?dry_run=true` returning
    rolls back too (rehearsal.py). With `ruled`, the request may skip the rules of registration
    (rules_query.py).
    """
    errors, ruled = declared.pop("errors", ()), declared.pop("ruled", False)
    if not declared.get("plans"):
        query = rules_query.RulesQuery() if ruled else rehearsal.WriteQuery()
        return _endpoint(Endpoint(writes=True, query=query, errors=errors, **declared))
    query = rules_query.PlanRulesQuery() if ruled else plans.PlanQuery()
    return _endpoint(Endpoint(writes=True, query=query, errors=(*errors, PlanOutdated), **declared))


def _endpoint(endpoint: Endpoint) -> Callable[[View], View]:
    def decorate(view: View) -> View:
        @wraps(view)
        def run(**given: Any) -> Response:
            if endpoint.writes and "HTTP_IF_MATCH" in (request := current()).environ:
                endpoint.require_tags(request.method)
            if endpoint.is_list:
                csv_lists.negotiate(endpoint.answer)
            query = parsing.query(endpoint.query)
            if endpoint.is_list and endpoint.counts and parsing.prefers_count():
                query["counted"] = True
            if endpoint.writes:
                rehearse, plan = query["dry_run"], query.get("plan")
            elif endpoint.query:
                given["query"] = query
            if endpoint.body:
                given["request"] = parsing.body(endpoint.body)
            if "course" in given:
                given["course"] = as_course(given["course"])
            for name in ("code", "external_id"):
                if name in given:
                    given[name] = as_code(given[name])
            if endpoint.no_database:
                return view(**given)
            if not endpoint.writes:
                return transaction.read(lambda connection: view(connection, **given))
            try:
                return _write(view, endpoint, given, plan, rehearse=rehearse)
            except IntegrityError as error:
                refusal = _taken(endpoint, error, given)
                if refusal is None:
                    raise
                if not (endpoint.upserts and refusal.is_gone):
                    raise refusal from error
            return _write(view, endpoint, given, plan, rehearse=rehearse)

        run.endpoint = endpoint  # type: ignore[attr-defined]  # read by access.py and openapi.py
        return run

    return decorate


def _write(
    view: View, endpoint: Endpoint, given: dict[str, Any], plan: str | None, *, rehearse: bool
) -> Response:
    key = idempotency.key_of_request()
    # A rehearsal neither reads nor claims it.
    fingerprint = idempotency.fingerprint() if key and not rehearse else ""
    once = rehearse or plan is not None
    if once and endpoint.plans:
        view = plans.planned(view, plan, rehearse=rehearse)
    if endpoint.begin:
        stored, marked = (None, None) if once else _begin(endpoint.begin, given, key, fingerprint)
        if stored is not None:
            return stored
        given = {**given, "begun": not once, "marked": marked}
    if key and not rehearse:  # only the transaction can tell whether this request is a repetition
        return transaction.write(
            lambda session, _: _write_once(session, view, endpoint, given, key, fingerprint)
        )
    precheck = endpoint.precheck
    if precheck is None:
        return transaction.write(lambda session, _: view(session, **given), rehearse=rehearse)

    def check(connection: Connection) -> Any:
        return precheck(connection, **given)

    return transaction.write(
        lambda session, request: view(session, **{**given, "request": request}),
        check,
        rehearse=rehearse,
    )


def _begin(
    begin: Callable[..., Any], given: dict[str, Any], key: str | None, fingerprint: str
) -> tuple[Response | None, Any]:
    """Claim the key and call `begin`, in one transaction. Returns the result of `begin`. If the key
    is claimed already, only return the stored response, or None if that is missing.
    """

    def work(session: Session, _: None) -> tuple[Response | None, Any]:
        if key and not idempotency.claim(session, key, fingerprint):
            return idempotency.stored(session, key, fingerprint), None
        return None, begin(session, **given)

    return transaction.write(work)


def _write_once(
    session: Session,
    view: View,
    endpoint: Endpoint,
    given: dict[str, Any],
    key: str,
    fingerprint: str,
) -> Response:
    """The response that is stored under the key. If none is stored, call the view and store its
    response.
    """
    if not idempotency.claim(session, key, fingerprint):
        stored = idempotency.stored(session, key, fingerprint)
        if stored is not None:
            return stored
    if endpoint.precheck:
        request = endpoint.precheck(session.connection(), **given)
        given = {**given, "request": request}
    response = view(session, **given)
    idempotency.remember(session, key, response)
    return response


def _taken(endpoint: Endpoint, error: IntegrityError, given: dict[str, Any]) -> Taken | None:
    """The refusal that lists every taken value. They are read after the rollback.

    Returns the error of the violated constraint if no value is taken any more, and None if the
    violated constraint does not make a value unique. Raises sqlalchemy.exc.DBAPIError.
    """
    named, find = integrity.explain(error), endpoint.clashes
    if not isinstance(named, Taken) or find is None:
        return None
    clashes = transaction.read(lambda connection: find(connection, **given))
    if not clashes:
        named.is_gone = True
        return named
    may_read = access.may(str(endpoint.scope).replace(":write", ":read"))
    faults = [kind.fault(row_id if may_read else None, *at) for kind, row_id, *at in clashes]
    first: type[Taken] = clashes[0][0]
    return first(faults)
