"""The public keys of an OpenID Connect issuer. Its discovery document names their address (OpenID
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

REFRESH_SECONDS = 600.0  # the keys are fetched again after this time
RETRY_SECONDS = 10.0  # shortest time between two attempts, even if tokens name unknown keys
# How long the keys are used while the issuer is not reachable.
ISSUER_KEYS_MAX_AGE_SECONDS = 86_400.0
TIMEOUT_SECONDS = 3
MAX_DOCUMENT_BYTES = 2**20


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Treats redirects as failures: they could lead to an address without https."""

    def redirect_request(self, *_: Any) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirect)


class Issuer:
    """The public keys of one issuer. One per worker; threads may share it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._keys: KeySet | None = None
        self._fetched = self._tried = float("-inf")
        self._lock = threading.Lock()

    def keys(self, *, again: bool = False) -> KeySet:
        """The keys, fetched if they are older than REFRESH_SECONDS.

        `again` fetches them earlier, because a token names a key that is not among them. Fetches
        are at least RETRY_SECONDS apart. One thread fetches while the others use the keys in
        memory. Raises Unavailable if the keys in memory are too old, or if there are none.
        """
        if self._due(again) and self._lock.acquire(blocking=self._keys is None):
            try:
                if self._due(again):  # no other thread fetched them while this one waited
                    self._fetch()
            finally:
                self._lock.release()
        if self._keys is None or time.monotonic() - self._fetched > ISSUER_KEYS_MAX_AGE_SECONDS:
            raise Unavailable("The keys of the sign-in provider cannot be fetched.")
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
    """A key of the set; None for a key of an unknown type, which a reader of the set ignores
    (RFC 7517, section 5).
    """
    try:
        return JWKRegistry.import_key(data)
    except (JoseError, ValueError, TypeError, LookupError):
        return None
