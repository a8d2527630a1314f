"""OpenID Connect: verifies bearer tokens with the keys of their issuer (RFC 7519, RFC 8725,
RFC 9068) and finds their principal.

The result for a token is remembered by the token's hash: a principal for a minute, a refusal for
five seconds. So most requests cost one lookup in a dictionary, and a flood of repeated bad tokens
reaches neither the issuer nor the database.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from joserfc import jwt
from joserfc.errors import ClaimError, InvalidKeyIdError
from joserfc.jws import JWSRegistry

from course_management.auth.jwks import Issuer
from course_management.auth.token_kinds import fault_of_kind
from course_management.config import Oidc
from course_management.core import text
from course_management.core.errors import TokenInvalid, Unavailable
from course_management.core.principal import Principal, granted

LEEWAY_SECONDS = 30  # how far the clocks of the issuer and of this machine may differ
ACCEPTED_SECONDS = 60.0  # a verified token is accepted this long without verifying it again
REFUSED_SECONDS = 5.0  # a refused token is refused this long without verifying it again
MAX_REMEMBERED_TOKENS = 10_000  # of each kind: accepted and refused

# Finds the id of a student by an attribute ("id", "external_id" or "email") and its value; None
# if no student has the value.
FindStudent = Callable[[str, str], int | None]
T = TypeVar("T")


class ExpiringCache(Generic[T]):
    """At most MAX_REMEMBERED_TOKENS values; a new value replaces the oldest. Threads may share it.

    Each value has a time, in seconds since 1970, after which it is no longer returned.
    """

    def __init__(self) -> None:
        self._values: dict[bytes, tuple[T, float]] = {}
        self._lock = threading.Lock()

    def get(self, key: bytes) -> T | None:
        found = self._values.get(key)
        return found[0] if found and found[1] > time.time() else None

    def put(self, key: bytes, value: T, until: float) -> None:
        with self._lock:
            self._values.pop(key, None)
            while len(self._values) >= MAX_REMEMBERED_TOKENS:
                del self._values[next(iter(self._values))]
            self._values[key] = (value, until)


class TokenVerifier:
    """Finds the principals of one issuer's tokens. One per worker; threads may share it."""

    def __init__(self, settings: Oidc, find_student: FindStudent) -> None:
        self._settings, self._find_student = settings, find_student
        self._issuer = Issuer(settings.issuer)
        # Not strict, because providers add headers of their own. The headers on which the signature
        # depends are still checked.
        self._registry = JWSRegistry(algorithms=settings.algorithms, strict_check_header=False)
        self._rules = jwt.JWTClaimsRegistry(
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": settings.issuer},
            aud={"essential": True, "value": settings.audience},
            exp={"essential": True},
            sub={"essential": True},
        )
        self._accepted: ExpiringCache[Principal] = ExpiringCache()
        self._refused: ExpiringCache[str] = ExpiringCache()

    def principal(self, token: str) -> Principal:
        """The principal of a token.

        Raises TokenInvalid, Unavailable if the issuer's keys cannot be fetched, and
        sqlalchemy.exc.SQLAlchemyError if the student cannot be looked up.
        """
        digest, now = hashlib.sha256(token.encode()).digest(), time.time()
        if principal := self._accepted.get(digest):
            return principal
        if reason := self._refused.get(digest):
            raise TokenInvalid(reason)
        try:
            claims = self._verify(token)
        except TokenInvalid as refusal:
            self._refused.put(digest, refusal.detail, now + REFUSED_SECONDS)
            raise
        principal = self._principal_of(claims)
        expires = claims["exp"] + LEEWAY_SECONDS
        self._accepted.put(digest, principal, min(expires, now + ACCEPTED_SECONDS))
        return principal

    def _verify(self, token: str) -> dict[str, Any]:
        """The claims of a token. Raises TokenInvalid or Unavailable."""
        try:
            try:
                decoded = jwt.decode(token, self._issuer.keys(), registry=self._registry)
            except InvalidKeyIdError:
                decoded = jwt.decode(token, self._issuer.keys(again=True), registry=self._registry)
            claims = decoded.claims
            self._rules.validate(claims)
        except Unavailable:
            raise
        except ClaimError as error:
            raise TokenInvalid(
                f"This token is refused for its claim {error.claim}: "
                f"{error.error.replace('_', ' ')}."
            ) from None
        # A malformed token can cause any exception in the library. It is refused; it must not
        # become an internal error.
        except Exception as error:
            reason = getattr(error, "error", "unreadable").replace("_", " ")
            raise TokenInvalid(f"This token is refused: {reason}.") from None
        if not _plain(claims["sub"]):
            raise TokenInvalid(
                "This token is refused for its claim sub: it must have 1 to 255 characters and no "
                "control characters."
            )
        if fault := fault_of_kind(
            decoded.header.get("typ", "JWT"), claims, self._settings.audience
        ):
            raise TokenInvalid(f"This token is refused for {fault}.")
        return claims

    def _principal_of(self, claims: dict[str, Any]) -> Principal:
        grants = dict(self._settings.scopes)
        scopes = [
            scope
            for word in _list(_claim(claims, self._settings.scopes_claim))
            for scope in grants.get(word, ())
        ]
        student_id = self._student_of(claims)
        # Every student may read the courses.
        return Principal(
            f"oidc:{claims['sub']}",
            granted([*scopes, *["courses:read"] * (student_id is not None)]),
            student_id,
        )

    def _student_of(self, claims: dict[str, Any]) -> int | None:
        if self._settings.student is None:
            return None
        by, name = self._settings.student
        value = _claim(claims, name)
        if type(value) is int:
            value = str(value)
        if not _plain(value) or (by == "email" and claims.get("email_verified") is not True):
            return None
        return self._find_student(by, value)


def _claim(claims: dict[str, Any], name: str) -> Any:
    """A claim by its name, or by its path (`realm_access.roles`); None if it does not exist."""
    if name in claims:
        return claims[name]
    value: Any = claims
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _list(value: Any) -> Iterable[str]:
    """The words of a claim, which is a list or a text with spaces between the words (RFC 8693,
    section 4.2).
    """
    words = value.split() if isinstance(value, str) else value if isinstance(value, list) else []
    return [word for word in words if isinstance(word, str)]


def _plain(value: Any) -> bool:
    """Whether a claim is a text of 1 to 255 characters without control characters."""
    return isinstance(value, str) and 0 < len(value) <= 255 and not text.has_control(value)
