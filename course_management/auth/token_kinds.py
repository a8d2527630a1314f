"""Decides which kinds of an issuer's tokens are accepted: access tokens, and ID tokens that were
issued to the audience of this service.
"""

from __future__ import annotations

from typing import Any

# Accepted values of the header `typ`, a media type without "application/" (RFC 7515, section
# 4.1.9): a plain JWT, and an access token (RFC 9068, sections 2.1 and 4). Logout tokens and
# security events have other types.
_PLAIN, _ACCESS = "jwt", "at+jwt"

# Claims that only ID tokens have (OpenID Connect Core 1.0, sections 2 and 3.3.2.11), and claims
# that only access tokens have: RFC 9068 section 2.2, and two of Microsoft Entra ID.
_OF_ID_TOKENS = {"nonce", "at_hash", "c_hash"}
_OF_ACCESS_TOKENS = {"scope", "client_id", "scp", "azpacr"}


def fault_of_kind(typ: str, claims: dict[str, Any], audience: str) -> str | None:
    """The reason to refuse a verified token because of its kind, or None to accept it.

    `typ` is the header of the token, `claims` its claims, and `audience` the setting
    OIDC_AUDIENCE. An access token is for `audience`, whichever client requested it; its claim
    `azp` names that client. An ID token is for the client at which a person signed in. If the
    service accepted ID tokens of other clients, those clients could act in that person's name.
    """
    kind = typ.lower().removeprefix("application/")
    if kind not in (_PLAIN, _ACCESS):
        return "its header typ: it must be JWT or at+jwt"
    # OpenID Connect Back-Channel Logout 1.0, section 2.4; RFC 8417, section 2.2
    if "events" in claims:
        return "its claim events: it reports an event, such as a logout, and is not for signing in"
    if kind == _ACCESS or _is_access_token(claims):
        return None
    # OpenID Connect Core 1.0, section 3.1.3.7, rules 4 and 5.
    audiences, party = claims["aud"], claims.get("azp")
    if party is None and (isinstance(audiences, str) or all(one == audience for one in audiences)):
        return None
    if party != audience:
        return (
            "its claim azp: it is an ID token that was issued to another client; send an access "
            "token"
        )
    return None


def _is_access_token(claims: dict[str, Any]) -> bool:
    """Whether the claims are those of an access token.

    If the claims do not show the kind, the token counts as an ID token, because the rules for ID
    tokens are stricter.
    """
    if isinstance(claims.get("typ"), str):  # Keycloak names the kind in a claim too: Bearer, ID
        return bool(claims["typ"] == "Bearer")
    return claims.keys().isdisjoint(_OF_ID_TOKENS) and not claims.keys().isdisjoint(
        _OF_ACCESS_TOKENS
    )
