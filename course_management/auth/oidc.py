"""OpenID Connect: who a bearer token is, by the keys of its issuer (RFC 7519, RFC 8725, RFC 9068).

What a token turned out to be is remembered for a minute by its hash, a refusal for some seconds: a
request costs a look into a dictionary, and a flood of bad tokens neither asks the issuer nor the
database.
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

LEEWAY_SECONDS = 30  # seconds by which clocks may differ
ACCEPTED_SECONDS = 60.0  # seconds a verified token is believed without another look
REFUSED_SECONDS = 5.0  # seconds a refused one is refused without another look
MAX_REMEMBERED_TOKENS = 10_000  # tokens remembered of each kind

# The id of the student known by its "id", "external_id" or "email"; None where there is none.
FindStudent = Callable[[str, str], int | None]
T = TypeVar("T")


class ExpiringCache(Generic[T]):
    """At most MOST values, each until its moment (seconds since 1970); the oldest make room."""

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
    """Recognises the tokens of one issuer. One a worker; safe to share between threads."""

    def __init__(self, settings: Oidc, find_student: FindStudent) -> None:
        self._settings, self._find_student = settings, find_student
        self._issuer = Issuer(settings.issuer)
        # Providers add headers of their own; what the signature depends on is checked all the same.
        self._registry = JWSRegistry(algorithms=settings.algorithms, strict_check_header=False)
        self._rules = jwt.JWTClaimsRegistry(
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": settings.issuer},
            aud={"essential": True, "value": settings.audience},
            exp={"essential": True},
            sub={"essential": True},
        )
        self._known: ExpiringCache[Principal] = ExpiringCache()
        self._refused: ExpiringCache[str] = ExpiringCache()

    def caller(self, token: str) -> Principal:
        """Whose token this is. Raises TokenInvalid, Unavailable where no keys are to be had, or
        what the database raises.
        """
        digest, now = hashlib.sha256(token.encode()).digest(), time.time()
        if caller := self._known.get(digest):
            return caller
        if reason := self._refused.get(digest):
            raise TokenInvalid(reason)
        try:
            claims = self._verify(token)
        except TokenInvalid as refusal:
            self._refused.put(digest, refusal.detail, now + REFUSED_SECONDS)
            raise
        caller = self._caller_of(claims)
        self._known.put(digest, caller, min(claims["exp"] + LEEWAY_SECONDS, now + ACCEPTED_SECONDS))
        return caller

    def _verify(self, token: str) -> dict[str, Any]:
        try:
            try:
                known = jwt.decode(token, self._issuer.keys(), registry=self._registry)
            except InvalidKeyIdError:
                known = jwt.decode(token, self._issuer.keys(again=True), registry=self._registry)
            claims = known.claims
            self._rules.validate(claims)
        except Unavailable:
            raise
        except ClaimError as error:
            raise TokenInvalid(
                f"This token is refused for its claim {error.claim}: "
                f"{error.error.replace('_', ' ')}."
            ) from None
        # whatever the library found wrong in what a stranger sent is no fault of this service
        except Exception as error:
            reason = getattr(error, "error", "unreadable").replace("_", " ")
            raise TokenInvalid(f"This token is refused: {reason}.") from None
        if not _plain(claims["sub"]):
            raise TokenInvalid(
                "This token is refused for its claim sub: 1 to 255 characters, none of them a "
                "control character."
            )
        if fault := fault_of_kind(known.header.get("typ", "JWT"), claims, self._settings.audience):
            raise TokenInvalid(f"This token is refused for {fault}.")
        return claims

    def _caller_of(self, claims: dict[str, Any]) -> Principal:
        grants = dict(self._settings.scopes)
        scopes = [
            scope
            for word in _list(_claim(claims, self._settings.scopes_claim))
            for scope in grants.get(word, ())
        ]
        student_id = self._student_of(claims)
        # Who is a student reads the catalogue.
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
    """A claim by its name, or by its path (`realm_access.roles`); None where there is none."""
    if name in claims:
        return claims[name]
    value: Any = claims
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _list(value: Any) -> Iterable[str]:
    """The words of a claim: a list of them, or a text of them with spaces between (RFC 8693,
    section 4.2).
    """
    words = value.split() if isinstance(value, str) else value if isinstance(value, list) else []
    return [word for word in words if isinstance(word, str)]


def _plain(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 255 and not text.has_control(value)
