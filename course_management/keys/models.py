"""The table of API keys."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from course_management.extensions import KeyText, Model, UTCDateTime, now


class ApiKey(Model):
    """A key, without its secret: `digest` is the SHA-256 of the whole token, in hexadecimal.

    A name is never given twice, so that the record says for good who did what. `scopes` are separated by spaces.
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
