"""Idempotency-Key on every write (draft-ietf-httpapi-idempotency-key-header-07): the same request
again, the same answer.

The key is claimed in the transaction of the effect and the answer stored in it, so that both stand
or neither does. A second request under a claimed key waits for the first to commit (PostgreSQL: on
the unique index; SQLite: on the write lock). A refusal rolls the claim back with everything else.

A key belongs to its caller: it is stored behind the caller's name and a space, which no key has;
without them where nobody has to say who it is.
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
from course_management.web.request_context import BODY, current

HEADER = "Idempotency-Key"
LIFETIME = timedelta(hours=24)

_STORED_HEADERS = ("Content-Type", "ETag", "Location")


class IdempotencyKey(Model):
    """A key, the fingerprint of its request, and the answer that was given."""

    __tablename__ = "idempotency_keys"

    key: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    fingerprint: Mapped[str] = mapped_column(sa.Text)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    status: Mapped[int | None] = mapped_column(sa.SmallInteger)
    headers: Mapped[str | None] = mapped_column(sa.Text)
    body: Mapped[bytes | None] = mapped_column(sa.LargeBinary)


def key_of_request() -> str | None:
    """The request's key, as its caller's own. Raises Invalid for what is no key: with a comma,
    it would be two headers joined.
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
    """What makes two requests the same: method, address, whichever mount it came by, and the value
    of the body, if it has one.

    A POST is known by address and body alone, as it was when only a POST took a key: what is stored
    then still stands.
    """
    request = current()
    method = [] if request.method == "POST" else [request.method.encode()]
    path = request.path.removeprefix(API_PREFIX)
    body = orjson.dumps(
        orjson.loads(request.environ.get(BODY, b"null")), option=orjson.OPT_SORT_KEYS
    )
    return hashlib.sha256(
        b"\0".join((*method, path.encode(), request.query_string, body))
    ).hexdigest()


def claim(session: Session, key: str, print_: str) -> Response | None:
    """The stored answer, or None where the key is fresh (or older than LIFETIME) and now ours.

    Raises KeyReused where the key stands for another request.
    """
    insert: Any = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}[
        session.get_bind().dialect.name
    ]
    moment = now()
    values = {
        "key": key,
        "fingerprint": print_,
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
    if session.execute(fresh.returning(IdempotencyKey.key)).first():
        return None
    stored = session.execute(
        sa.select(IdempotencyKey.__table__).where(IdempotencyKey.key == key)
    ).one()
    if stored.fingerprint != print_:
        raise KeyReused
    return Response(
        stored.body, stored.status, {**orjson.loads(stored.headers), "Idempotent-Replayed": "true"}
    )


def remember(session: Session, key: str, answer: Response) -> None:
    """Store the answer in the transaction of its effect."""
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
    """Remove the keys past LIFETIME; returns how many."""
    old = sa.delete(IdempotencyKey).where(IdempotencyKey.created_at <= now() - LIFETIME)
    return session.connection().execute(old).rowcount
