"""API keys: create, list, rotate, revoke, and read them for authentication.

A token is `cm_`, the id of its key, `_` and a secret of 40 letters and digits (238 bits). Scanners
for leaked secrets can find it by TOKEN_FORM. A random secret of this length cannot be guessed, so
a fast hash is enough and every request can afford the check. NIST SP 800-63B, section 5.1.1.2,
requires slow hashes only for secrets that people choose.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Mapped, Session, mapped_column

from course_management.core.errors import Conflict, NotFound
from course_management.core.principal import SCOPES, Principal, granted
from course_management.db import sqlite
from course_management.db.base import KeyText, Model, UTCDateTime, now
from course_management.telemetry.events import Event
from course_management.telemetry.logs import note


class ApiKey(Model):
    """A key, without its secret: `digest` is the SHA-256 of the whole token, in hexadecimal.

    A name is never used twice, not even after its key is revoked, so that a name in the history
    of enrollments always means the same key. `scopes` are separated by spaces.
    """

    __tablename__ = "api_keys"
    __table_args__ = (sa.UniqueConstraint("name"),)

    id: Mapped[str] = mapped_column(KeyText, primary_key=True)
    name: Mapped[str] = mapped_column(KeyText)
    digest: Mapped[str] = mapped_column(sa.Text)
    scopes: Mapped[str] = mapped_column(sa.Text)
    issued_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    @property
    def state(self) -> str:
        """ "active", "expired" or "revoked"."""
        if self.revoked_at:
            return "revoked"
        return "expired" if self.expires_at and self.expires_at <= now() else "active"


TOKEN_FORM = re.compile("cm_([0-9A-Za-z]{12})_[0-9A-Za-z]{40}")
_LETTERS = string.ascii_letters + string.digits

_ACTIVE = sa.select(ApiKey.id, ApiKey.name, ApiKey.digest, ApiKey.scopes, ApiKey.expires_at).where(
    ApiKey.revoked_at.is_(None)
)
_USED = (
    sa.update(ApiKey)
    .where(ApiKey.id == sa.bindparam("key_id"))
    .values(last_used_at=sa.bindparam("moment"))
)


@dataclass(frozen=True, slots=True)
class ActiveKey:
    """A key that is not revoked: the SHA-256 of its token, its principal, and the time at which it
    expires, in seconds since 1970 (infinity if it never expires).
    """

    digest: bytes
    principal: Principal
    expires: float


def digest(token: str) -> bytes:
    """The SHA-256 of a token. The database stores this digest and not the token."""
    return hashlib.sha256(token.encode()).digest()


def create_key(
    session: Session, name: str, scopes: Iterable[str], lifetime: timedelta | None
) -> str:
    """Create a key; returns its token, which is not stored.

    `name` is already clean (core/text.py). `lifetime` is the time until the key expires; None
    means never. Raises Conflict if another key, even a revoked one, has this name.
    """
    if session.scalar(sa.select(ApiKey.id).where(ApiKey.name == name)):
        raise Conflict(
            f'A key named "{name}" exists or existed. Choose another name, or rotate that key.'
        )
    key = ApiKey(
        id=_random(12),
        name=name,
        scopes=" ".join(scope for scope in SCOPES if scope in set(scopes)),
    )
    token = _issue(key, lifetime)
    session.add(key)
    note(session, Event.API_KEY_CREATED, key_id=key.id)
    return token


def rotate_key(session: Session, key_id: str) -> str:
    """Replace the token of a key; returns the new token.

    If the key expires, its lifetime begins again. Raises NotFound if the key does not exist or is
    revoked.
    """
    key = _get(session, key_id)
    token = _issue(key, key.expires_at - key.issued_at if key.expires_at else None)
    note(session, Event.API_KEY_ROTATED, key_id=key.id)
    return token


def revoke_key(session: Session, key_id: str) -> None:
    """Revoke a key: it is refused from now on. Raises NotFound if the key does not exist or is
    revoked already.
    """
    key = _get(session, key_id)
    key.revoked_at = now()
    note(session, Event.API_KEY_REVOKED, key_id=key.id)


def list_keys(session: Session) -> Sequence[ApiKey]:
    """Every key in the order of their names, including revoked keys."""
    return session.scalars(sa.select(ApiKey).order_by(ApiKey.name)).all()


def active_keys(connection: Connection) -> dict[str, ActiveKey]:
    """Every key that is not revoked, by id. One statement; a school has tens of keys."""
    return {
        row.id: ActiveKey(
            bytes.fromhex(row.digest),
            Principal(f"key:{row.name}", granted(row.scopes.split())),
            row.expires_at.timestamp() if row.expires_at else float("inf"),
        )
        for row in connection.execute(_ACTIVE)
    }


def record_use(connection: Connection, key_id: str) -> None:
    """Store the current time as the last use of a key.

    On SQLite this waits for the write lock for at most 50 ms, so that it makes no request slow.
    Raises sqlalchemy.exc.SQLAlchemyError.
    """
    on_sqlite = connection.dialect.name == "sqlite"
    if on_sqlite:
        sqlite.set_lock_timeout(connection, 0.05)
    try:
        connection.execute(_USED, {"key_id": key_id, "moment": now()})
    finally:
        if on_sqlite:
            sqlite.set_lock_timeout(connection, sqlite.LOCK_TIMEOUT_SECONDS)


def _get(session: Session, key_id: str) -> ApiKey:
    key = session.get(ApiKey, key_id, with_for_update=True)
    if key is None or key.revoked_at:
        raise NotFound(f"No key has the id {key_id}, or it is already revoked.")
    return key


def _issue(key: ApiKey, lifetime: timedelta | None) -> str:
    token = f"cm_{key.id}_{_random(40)}"
    key.digest, key.issued_at = digest(token).hex(), now()
    key.expires_at = key.issued_at + lifetime if lifetime else None
    return token


def _random(length: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(length))
