"""Idempotency-Key for every write (draft-ietf-httpapi-idempotency-key-header-07): a repeated
request takes effect once and gets the same response.

The transaction that makes the change also stores the key and the response, so that they are
committed together or not at all. A second request with the same key waits until the first commits
(PostgreSQL: on the unique index; SQLite: on the write lock). A refused request stores nothing.

A key belongs to the principal that sends it. It is stored after the principal's name and a space,
which keys cannot contain. If requests need no authentication, it is stored alone.
"""

from __future__ import annotations

import hashlib
import re
from datetime import datetime, timedelta
from typing import Any

import orjson
import sqlalchemy as sa
from flask import Response
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, mapped_column

from course_management.core.api import API_PREFIX
from course_management.core.errors import Invalid, KeyReused
from course_management.db.base import Model, UTCDateTime, now
from course_management.telemetry.logs import actor
from course_management.web.request_context import BODY_KEY, current

HEADER = "Idempotency-Key"
LIFETIME = timedelta(hours=24)

_STORED_HEADERS = ("Content-Type", "ETag", "Location")


class IdempotencyKey(Model):
    """A key, the fingerprint of its request, and the response to that request."""

    __tablename__ = "idempotency_keys"

    key: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    fingerprint: Mapped[str] = mapped_column(sa.Text)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    status: Mapped[int | None] = mapped_column(sa.SmallInteger)
    headers: Mapped[str | None] = mapped_column(sa.Text)
    body: Mapped[bytes | None] = mapped_column(sa.LargeBinary)


def key_of_request() -> str | None:
    """The key of the request, after the principal's name; None if the request has no key.

    Raises Invalid if the header is malformed. Commas are not allowed: they would mean that
    several headers were joined.
    """
    request = current()
    key = request.environ.get("HTTP_IDEMPOTENCY_KEY")
    if key is not None and not re.fullmatch("[!-+.-~-]{1,255}", key):
        raise Invalid(
            [
                {
                    "header": HEADER,
                    "detail": "Must be one key of 1 to 255 visible ASCII characters, without "
                    "spaces or commas.",
                }
            ]
        )
    return f"{actor.get()} {key}" if key and actor.get() else key


def fingerprint() -> str:
    """The SHA-256 of the request: equal for requests with the same method, address and body.

    The prefix of the address and the order of keys in the body make no difference. The method is
    left out for POST, so that keys stored when only POST accepted them remain valid.
    """
    request = current()
    method = [] if request.method == "POST" else [request.method.encode()]
    path = request.path.removeprefix(API_PREFIX)
    body = orjson.dumps(
        orjson.loads(request.environ.get(BODY_KEY, b"null")), option=orjson.OPT_SORT_KEYS
    )
    return hashlib.sha256(
        b"\0".join((*method, path.encode(), request.query_string, body))
    ).hexdigest()


def claim(session: Session, key: str, request_fingerprint: str) -> bool:
    """Claim a key for this request. Returns whether the key is new or older than LIFETIME: this
    request then owns it.

    Otherwise it waits until the request that claimed it has ended. `request_fingerprint` is the
    result of `fingerprint`.
    """
    insert: Any = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}[
        session.get_bind().dialect.name
    ]
    moment = now()
    values = {
        "key": key,
        "fingerprint": request_fingerprint,
        "created_at": moment,
        "status": None,
        "headers": None,
        "body": None,
    }
    fresh = insert(IdempotencyKey).values(values)
    fresh = fresh.on_conflict_do_update(
        index_elements=["key"],
        set_={name: fresh.excluded[name] for name in values if name != "key"},
        where=IdempotencyKey.created_at <= moment - LIFETIME,
    )
    return session.execute(fresh.returning(IdempotencyKey.key)).first() is not None


def stored(session: Session, key: str, request_fingerprint: str) -> Response | None:
    """The response that is stored under a claimed key.

    None if the service ended between the two transactions of a write that has two: the request
    then does the second one. Raises KeyReused if the key belongs to another request.
    """
    stored = session.execute(
        sa.select(IdempotencyKey.__table__).where(IdempotencyKey.key == key)
    ).one()
    if stored.fingerprint != request_fingerprint:
        raise KeyReused
    if stored.status is None:
        return None
    return Response(
        stored.body, stored.status, {**orjson.loads(stored.headers), "Idempotent-Replayed": "true"}
    )


def remember(session: Session, key: str, answer: Response) -> None:
    """Store the response under the claimed key, in the transaction that makes the change."""
    headers = {name: answer.headers[name] for name in _STORED_HEADERS if name in answer.headers}
    session.execute(
        sa.update(IdempotencyKey)
        .where(IdempotencyKey.key == key)
        .values(
            status=answer.status_code,
            headers=orjson.dumps(headers).decode(),
            body=answer.get_data(),
        )
    )


def forget_old(session: Session) -> int:
    """Delete the keys older than LIFETIME; returns their number."""
    old = sa.delete(IdempotencyKey).where(IdempotencyKey.created_at <= now() - LIFETIME)
    return session.connection().execute(old).rowcount
