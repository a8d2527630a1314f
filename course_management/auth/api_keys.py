"""Making, listing, revoking and recognising API keys.

A token is `cm_`, the id of its key, `_` and a secret of 40 letters and digits (238 bits): scanners
for leaked secrets find it by FORM. What nobody can guess needs no slow hash, so a request can
afford the check (NIST SP 800-63B, section 5.1.1.2, asks for slowness where people choose the
secret).
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
from course_management.db.base import KeyText, Model, UTCDateTime, now
from course_management.db.engine import SQLITE_LOCK_TIMEOUT_SECONDS
from course_management.telemetry.logs import note


class ApiKey(Model):
    """A key, without its secret: `digest` is the SHA-256 of the whole token, in hexadecimal.

    A name is never given twice, so that the record says for good who did what. `scopes` are
    separated by spaces.
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
        if self.revoked_at:
            return "revoked"
        return "expired" if self.expires_at and self.expires_at <= now() else "active"


FORM = re.compile("cm_([0-9A-Za-z]{12})_[0-9A-Za-z]{40}")
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
class Known:
    """A key as it is recognised: the digest of its token, whose it is, and until when (seconds
    since 1970).
    """

    digest: bytes
    caller: Principal
    until: float


def digest(token: str) -> bytes:
    """The SHA-256 of a token: all that is kept of it."""
    return hashlib.sha256(token.encode()).digest()


def create_key(
    session: Session, name: str, scopes: Iterable[str], lifetime: timedelta | None
) -> str:
    """The token of a new key, which is nowhere kept. Raises Conflict where a key, revoked or
    not, has the (clean) name.
    """
    if session.scalar(sa.select(ApiKey.id).where(ApiKey.name == name)):
        raise Conflict(
            f'There is, or was, a key named "{name}". Choose another name, or rotate that key.'
        )
    key = ApiKey(
        id=_random(12),
        name=name,
        scopes=" ".join(scope for scope in SCOPES if scope in set(scopes)),
    )
    token = _issue(key, lifetime)
    session.add(key)
    note(session, "api key created", key_id=key.id)
    return token


def rotate_key(session: Session, key_id: str) -> str:
    """A new token for a key, in place of the old one; a key that expires lives as long again.
    Raises NotFound.
    """
    key = _get(session, key_id)
    token = _issue(key, key.expires_at - key.issued_at if key.expires_at else None)
    note(session, "api key rotated", key_id=key.id)
    return token


def revoke_key(session: Session, key_id: str) -> None:
    """Have a key refused from now on. Raises NotFound."""
    key = _get(session, key_id)
    key.revoked_at = now()
    note(session, "api key revoked", key_id=key.id)


def list_keys(session: Session) -> Sequence[ApiKey]:
    """Every key, by name; those revoked too."""
    return session.scalars(sa.select(ApiKey).order_by(ApiKey.name)).all()


def active(connection: Connection) -> dict[str, Known]:
    """Every key that is not revoked, by id. One statement; a school has tens of keys."""
    return {
        row.id: Known(
            bytes.fromhex(row.digest),
            Principal(f"key:{row.name}", granted(row.scopes.split())),
            row.expires_at.timestamp() if row.expires_at else float("inf"),
        )
        for row in connection.execute(_ACTIVE)
    }


def record_use(connection: Connection, key_id: str) -> None:
    """Write down that a key was used now; on SQLite only if the write lock is free soon: no
    request waits long for this.
    """
    on_sqlite = connection.dialect.name == "sqlite"
    if on_sqlite:
        connection.exec_driver_sql("PRAGMA busy_timeout = 50")
    try:
        connection.execute(_USED, {"key_id": key_id, "moment": now()})
    finally:
        if on_sqlite:
            connection.exec_driver_sql(
                f"PRAGMA busy_timeout = {SQLITE_LOCK_TIMEOUT_SECONDS * 1000:.0f}"
            )


def _get(session: Session, key_id: str) -> ApiKey:
    key = session.get(ApiKey, key_id, with_for_update=True)
    if key is None or key.revoked_at:
        raise NotFound(f"There is no key with the id {key_id} that is not revoked already.")
    return key


def _issue(key: ApiKey, lifetime: timedelta | None) -> str:
    token = f"cm_{key.id}_{_random(40)}"
    key.digest, key.issued_at = digest(token).hex(), now()
    key.expires_at = key.issued_at + lifetime if lifetime else None
    return token


def _random(length: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(length))
