"""API keys as a worker knows them: all that are active, read from the database at most once a
second.
"""

from __future__ import annotations

import hmac
import time

from sqlalchemy.exc import SQLAlchemyError

from course_management.auth import api_keys
from course_management.core.errors import TokenInvalid
from course_management.core.principal import Principal
from course_management.db import integrity, transaction
from course_management.telemetry.logs import actor, log

MAX_AGE_SECONDS = 1.0  # seconds what was read is believed: so long a revoked key may yet live
# seconds after which an unknown key has it read again: a new one works at once, bad ones cost ten
# reads a second
UNKNOWN_KEY_MAX_AGE_SECONDS = 0.1
RECORD_USE_SECONDS = 60.0  # seconds in which one use of a key is written down

_NOBODY = api_keys.Known(bytes(32), Principal("", frozenset()), 0.0)


class KeyCache:
    """Recognises API keys. One a worker; safe to share between threads."""

    def __init__(self) -> None:
        self._read: tuple[float, dict[str, api_keys.Known]] = (float("-inf"), {})
        self._used: dict[str, float] = {}

    def caller(self, token: str) -> Principal:
        """Whose key this is. Raises TokenInvalid; and what the database raises where it is away
        and what was read is old.
        """
        form = api_keys.FORM.fullmatch(token)
        if form is None:
            raise TokenInvalid(
                "This is no API key: one is cm_, 12 letters and digits, _ and 40 more."
            )
        key_id, digest = form[1], api_keys.digest(token)
        known = self._find(key_id, digest, MAX_AGE_SECONDS) or self._find(
            key_id, digest, UNKNOWN_KEY_MAX_AGE_SECONDS
        )
        if known is None:
            raise TokenInvalid("This API key is unknown or revoked.")
        if known.until <= time.time():
            actor.set(known.caller.name)  # its secret is right: the log may say whose it is
            raise TokenInvalid("This API key has expired.")
        if time.monotonic() - self._used.get(key_id, float("-inf")) > RECORD_USE_SECONDS:
            self._record_use(key_id)
        return known.caller

    def _find(self, key_id: str, digest: bytes, age: float) -> api_keys.Known | None:
        """The key, by what was read at most `age` seconds ago. An unknown id costs what a wrong
        secret does.
        """
        began = time.monotonic()
        if began - self._read[0] > age:
            self._read = (began, transaction.read(api_keys.active))
        known = self._read[1].get(key_id, _NOBODY)
        return known if hmac.compare_digest(known.digest, digest) and known is not _NOBODY else None

    def _record_use(self, key_id: str) -> None:
        self._used[key_id] = time.monotonic()
        try:
            transaction.read(lambda connection: api_keys.record_use(connection, key_id))
        # the next minute will do: nobody is refused because a date was not written
        except SQLAlchemyError as error:
            log.warning(
                "use of a key not recorded",
                extra={"key_id": key_id, "reason": integrity.reason(error)},
            )
