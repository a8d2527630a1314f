"""@reading and @writing: what a view declares of itself, and the order in which a request is
judged.

First who asks (access.py), then the query, then the body, then, inside the transaction, the
Idempotency-Key and the view: a request that is ill-formed costs the database nothing. What is
declared here is also what OpenAPI shows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

from flask import Response
from marshmallow import Schema
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from course_management.core.errors import Error, Taken
from course_management.db import integrity, transaction
from course_management.web import access, etags, idempotency
from course_management.web.parsing import body as parse_body
from course_management.web.parsing import query as parse_query
from course_management.web.raw_path import as_course
from course_management.web.request_context import current

View = Callable[..., Response]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A view's contract.

    `scope` is what a caller needs; with `allow_self`, the student that the path's `student_id`
    names needs none (access.py). `is_list` says that it answers a page of `answer`, `counts` that
    it tells the length of the list where that is preferred; `etag`, that preconditions apply.
    `first` is called like the view, before a transaction is begun or a lock taken, with a
    connection; it may refuse, and what it returns joins what the view gets. `clashes` is called
    likewise once a constraint has refused, and finds everything that is taken. `no_database` says
    that the view answers without a database.
    """

    writes: bool
    scope: str | None = None
    allow_self: bool = False
    query: Schema | None = None
    body: Schema | None = None
    answer: type[Schema] | None = None
    is_list: bool = False
    counts: bool = False
    status: tuple[int, ...] = (200,)
    errors: tuple[type[Error], ...] = ()
    etag: bool = False
    first: Callable[..., dict[str, Any]] | None = None
    clashes: Callable[..., list[tuple[type[Taken], int]]] | None = None
    no_database: bool = False


def reading(**declared: Any) -> Callable[[View], View]:
    """A view that only reads. It gets a connection, the path's values and the query's by name."""
    return _endpoint(Endpoint(writes=False, **declared))


def writing(**declared: Any) -> Callable[[View], View]:
    """A view in a transaction: returning commits, raising rolls back. It gets the session, the
    path's and the body's values.
    """
    return _endpoint(Endpoint(writes=True, **declared))


def _endpoint(endpoint: Endpoint) -> Callable[[View], View]:
    def decorate(view: View) -> View:
        @wraps(view)
        def run(**path: Any) -> Response:
            if endpoint.writes and (current().method == "POST" or not endpoint.etag):
                etags.refuse_if_match()
            given = parse_query(endpoint.query)
            if endpoint.body:
                given |= parse_body(endpoint.body)
            if "course" in path:
                path["course"] = as_course(path["course"])
            given |= path
            if endpoint.no_database:
                return view(**given)
            if not endpoint.writes:
                return transaction.read(lambda connection: view(connection, **given))
            if not endpoint.clashes:
                return _write(view, endpoint, given)
            try:
                return _write(view, endpoint, given)
            except IntegrityError as error:
                raise _with_all_clashes(endpoint, error, given) from error

        run.endpoint = endpoint  # type: ignore[attr-defined]  # read by openapi.py
        return run

    return decorate


def _write(view: View, endpoint: Endpoint, given: dict[str, Any]) -> Response:
    key, first = idempotency.key_of_request(), endpoint.first
    if key:  # only the transaction knows whether this is a repetition
        work = _once(view, key, first)
        return transaction.write(lambda session: work(session, **given))
    look = (lambda connection: first(connection, **given)) if first else None
    return transaction.write(lambda session, **known: view(session, **(given | known)), look)


def _with_all_clashes(
    endpoint: Endpoint, error: IntegrityError, given: dict[str, Any]
) -> Exception:
    """The refusal with everything that is taken, looked up now that the transaction is undone;
    `error` where it is another one.

    Where nothing is taken any more, it names what the constraint named. Raises
    sqlalchemy.exc.DBAPIError.
    """
    named, find = integrity.explain(error), endpoint.clashes
    if not isinstance(named, Taken) or find is None:
        return error
    clashes = transaction.read(lambda connection: find(connection, **given))
    shown = access.may(str(endpoint.scope).replace(":write", ":read"))
    return (
        clashes[0][0]([kind.fault(holder if shown else None) for kind, holder in clashes])
        if clashes
        else named
    )


def _once(view: View, key: str, first: Callable[..., dict[str, Any]] | None) -> View:
    """`view`, or the answer it gave when this request came first."""
    print_ = idempotency.fingerprint()

    def work(session: Session, **given: Any) -> Response:
        answer = idempotency.claim(session, key, print_)
        if answer is None:
            known = first(session.connection(), **given) if first else {}
            answer = view(session, **(given | known))
            idempotency.remember(session, key, answer)
        return answer

    return work
