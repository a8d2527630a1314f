"""The public keys of an OpenID Connect issuer, fetched over its discovery document (OpenID
Connect Discovery 1.0, section 4).
"""

from __future__ import annotations

import http.client
import threading
import time
import urllib.request
from typing import Any

import orjson
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key, KeySet

from course_management.config import is_secure_url
from course_management.core.errors import Unavailable
from course_management.telemetry.logs import log

REFRESH_SECONDS = 600.0  # seconds after which the keys are fetched again
RETRY_SECONDS = 10.0  # seconds between two attempts, whatever unknown keys are asked for meanwhile
MAX_AGE_SECONDS = 86_400.0  # seconds the keys are believed while the issuer is away
TIMEOUT_SECONDS = 3  # seconds
MAX_DOCUMENT_BYTES = 2**20  # bytes of a document


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Answers that lead elsewhere are failures: elsewhere need not be https."""

    def redirect_request(self, *_: Any) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirect)


class Issuer:
    """The keys of one issuer. One a worker; safe to share between threads."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._keys: KeySet | None = None
        self._fetched = self._tried = float("-inf")
        self._lock = threading.Lock()

    def keys(self, *, again: bool = False) -> KeySet:
        """The keys; fetched where there are none or they are old, or `again` because one was not
        among them, each PAUSE at most.

        One thread fetches while the others go on with what there is. Raises Unavailable where there
        is nothing to go on with.
        """
        if self._due(again) and self._lock.acquire(blocking=self._keys is None):
            try:
                if self._due(again):  # nobody has done it while we waited
                    self._fetch()
            finally:
                self._lock.release()
        if self._keys is None or time.monotonic() - self._fetched > MAX_AGE_SECONDS:
            raise Unavailable("The keys of the sign-in provider cannot be had.")
        return self._keys

    def _due(self, again: bool) -> bool:
        now = time.monotonic()
        return now - self._tried > RETRY_SECONDS and (
            again or now - self._fetched > REFRESH_SECONDS
        )

    def _fetch(self) -> None:
        self._tried = time.monotonic()
        try:
            about = _read(self.address.rstrip("/") + "/.well-known/openid-configuration")
            if about["issuer"] != self.address:
                raise ValueError(f"it calls itself {about['issuer']!r}")
            keys = [key for data in _read(about["jwks_uri"])["keys"] if (key := _imported(data))]
            if not keys:
                raise ValueError("it has no keys")
            self._keys, self._fetched = KeySet(keys), self._tried
        except (OSError, http.client.HTTPException, ValueError, TypeError, LookupError) as error:
            log.warning(
                "issuer's keys not fetched", extra={"issuer": self.address, "reason": str(error)}
            )


def _read(address: str) -> Any:
    if not is_secure_url(address):
        raise ValueError(f"{address!r} is not https")
    with _opener.open(address, timeout=TIMEOUT_SECONDS) as answer:
        return orjson.loads(answer.read(MAX_DOCUMENT_BYTES))


def _imported(data: Any) -> Key | None:
    """A key of the set; None for one of a kind not known here, which is nothing to fail for (RFC
    7517, section 5).
    """
    try:
        return JWKRegistry.import_key(data)
    except (JoseError, ValueError, TypeError, LookupError):
        return None
