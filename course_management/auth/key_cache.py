"""The API keys of the database, kept in memory. Each worker reads them at most once per second.

So a request needs no statement to check its key. A revoked key is refused after
KEYS_MAX_AGE_SECONDS at the latest.
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

KEYS_MAX_AGE_SECONDS = 1.0  # keys older than this are read again
# An unknown key causes a new read if the keys are older than this. So a new key works at once,
# and a flood of unknown keys costs ten reads per second.
UNKNOWN_KEY_MAX_AGE_SECONDS = 0.1
RECORD_USE_SECONDS = 60.0  # the last use of a key is stored at most once in this time

_NO_KEY = api_keys.ActiveKey(bytes(32), Principal("", frozenset()), 0.0)


class KeyCache:
    """Finds the principals of API keys. One per worker; threads may share it."""

    def __init__(self) -> None:
        self._read: tuple[float, dict[str, api_keys.ActiveKey]] = (float("-inf"), {})
        self._used: dict[str, float] = {}

    def principal(self, token: str) -> Principal:
        """The principal of an API key.

        Raises TokenInvalid, and sqlalchemy.exc.SQLAlchemyError if the database is not reachable
        and the keys in memory are too old.
        """
        form = api_keys.TOKEN_FORM.fullmatch(token)
        if form is None:
            raise TokenInvalid(
                "This is not an API key: a key is cm_, 12 letters and digits, _ and 40 more "
                "letters and digits."
            )
        key_id, digest = form[1], api_keys.digest(token)
        key = self._find(key_id, digest, KEYS_MAX_AGE_SECONDS) or self._find(
            key_id, digest, UNKNOWN_KEY_MAX_AGE_SECONDS
        )
        if key is None:
            raise TokenInvalid("This API key is unknown or revoked.")
        if key.expires <= time.time():
            actor.set(key.principal.name)  # the secret is right, so the log may name the key
            raise TokenInvalid("This API key has expired.")
        if time.monotonic() - self._used.get(key_id, float("-inf")) > RECORD_USE_SECONDS:
            self._record_use(key_id)
        return key.principal

    def _find(self, key_id: str, digest: bytes, max_age: float) -> api_keys.ActiveKey | None:
        """The key, among keys that were read at most `max_age` seconds ago.

        An unknown id takes as long as a wrong secret, so that the time reveals no ids.
        """
        began = time.monotonic()
        if began - self._read[0] > max_age:
            self._read = (began, transaction.read(api_keys.active_keys))
        key = self._read[1].get(key_id, _NO_KEY)
        return key if hmac.compare_digest(key.digest, digest) and key is not _NO_KEY else None

    def _record_use(self, key_id: str) -> None:
        self._used[key_id] = time.monotonic()
        try:
            transaction.read(lambda connection: api_keys.record_use(connection, key_id))
        # The request is not refused because of this date. The next use after RECORD_USE_SECONDS
        # stores it.
        except SQLAlchemyError as error:
            log.warning(
                "use of a key not recorded",
                extra={"key_id": key_id, "reason": integrity.reason(error)},
            )
