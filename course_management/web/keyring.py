"""API keys as a worker knows them: all that are active, read from the database at most once a second."""

from __future__ import annotations

import hmac
import time

from sqlalchemy.exc import SQLAlchemyError

from course_management import constraints
from course_management.callers import Caller
from course_management.errors import TokenInvalid
from course_management.keys import service
from course_management.logs import actor, log
from course_management.web import transaction

FRESH = 1.0  # seconds what was read is believed: so long a revoked key may yet live
SOON = 0.1  # seconds after which an unknown key has it read again: a new one works at once, bad ones cost ten reads a second
USE = 60.0  # seconds in which one use of a key is written down

_NOBODY = service.Known(bytes(32), Caller("", frozenset()), 0.0)


class Keyring:
    """Recognises API keys. One a worker; safe to share between threads."""

    def __init__(self) -> None:
        self._read: tuple[float, dict[str, service.Known]] = (float("-inf"), {})
        self._used: dict[str, float] = {}

    def caller(self, token: str) -> Caller:
        """Whose key this is. Raises TokenInvalid; and what the database raises where it is away and what was read is old."""
        form = service.FORM.fullmatch(token)
        if form is None:
            raise TokenInvalid("This is no API key: one is cm_, 12 letters and digits, _ and 40 more.")
        key_id, digest = form[1], service.digest(token)
        known = self._find(key_id, digest, FRESH) or self._find(key_id, digest, SOON)
        if known is None:
            raise TokenInvalid("This API key is unknown or revoked.")
        if known.until <= time.time():
            actor.set(known.caller.name)  # its secret is right: the log may say whose it is
            raise TokenInvalid("This API key has expired.")
        if time.monotonic() - self._used.get(key_id, float("-inf")) > USE:
            self._record_use(key_id)
        return known.caller

    def _find(self, key_id: str, digest: bytes, age: float) -> service.Known | None:
        """The key, by what was read at most `age` seconds ago. An unknown id costs what a wrong secret does."""
        began = time.monotonic()
        if began - self._read[0] > age:
            self._read = (began, transaction.read(service.active))
        known = self._read[1].get(key_id, _NOBODY)
        return known if hmac.compare_digest(known.digest, digest) and known is not _NOBODY else None

    def _record_use(self, key_id: str) -> None:
        self._used[key_id] = time.monotonic()
        try:
            transaction.read(lambda connection: service.record_use(connection, key_id))
        except SQLAlchemyError as error:  # the next minute will do: nobody is refused because a date was not written
            log.warning("use of a key not recorded", extra={"key_id": key_id, "reason": constraints.reason(error)})
