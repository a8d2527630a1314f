"""Accepted kinds of an issuer's tokens, and their students. Logout tokens and ID tokens of other
clients are refused.
"""

from __future__ import annotations

import pytest

from course_management.config import Oidc
from tests.auth.issuer import AUDIENCE
from tests.conftest import bearer
from tests.web.problems import problem

ROLES = {"realm_access": {"roles": ["registrar"]}}
BOTH = ["another", AUDIENCE]
LOGOUT = {
    "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
    "sid": "s-1",
    "jti": "j-1",
}

KEYCLOAK = {"typ": "Bearer", "azp": "web", "scope": "openid profile", "acr": "1"}
ENTRA = {"ver": "2.0", "azp": "0e2f", "azpacr": "0", "scp": "access_as_user"}
ENTRA_APP = {"ver": "2.0", "azp": "0e2f", "azpacr": "1"}
GOOGLE = {"azp": AUDIENCE, "at_hash": "x", "nonce": "n", "email_verified": True}


@pytest.mark.parametrize(
    ("header", "claims"),
    [
        ({}, {}),
        ({"typ": "JWT"}, {}),
        ({"typ": "jwt"}, {}),
        ({"typ": "application/JWT"}, {}),
        ({"typ": "at+jwt"}, {"client_id": "web", "aud": BOTH}),
        ({"typ": "application/at+jwt"}, {"azp": "web"}),
        ({"typ": "AT+JWT"}, {"client_id": "web", "azp": "web"}),
        ({"typ": "JWT"}, KEYCLOAK),
        ({"typ": "JWT"}, KEYCLOAK | {"aud": [AUDIENCE, "account"], "nonce": "n"}),
        ({"typ": "at+jwt"}, KEYCLOAK),
        ({"typ": "JWT"}, ENTRA),
        ({"typ": "JWT"}, ENTRA_APP),
        # one claim of an access token suffices
        ({"typ": "JWT"}, {"azp": "web", "scope": "openid"}),
        ({"typ": "JWT"}, {"azp": "web", "client_id": "web"}),
        ({"typ": "JWT"}, {"azp": "0e2f", "scp": "access_as_user"}),
        (
            {"typ": "JWT"},
            {"aud": [AUDIENCE, "https://id.example/userinfo"], "azp": "web", "scope": "openid"},
        ),
        ({"typ": "JWT"}, GOOGLE),
        ({"typ": "JWT"}, {"typ": "ID", "azp": AUDIENCE, "nonce": "n"}),
        ({"typ": "JWT"}, {"typ": "ID", "aud": BOTH, "azp": AUDIENCE}),
    ],
)
def test_access_tokens_of_every_client_and_id_tokens_of_the_audience_are_accepted(
    guarded, issuer, header, claims
):
    """Fails if `azp` must be the audience of every token: this refuses access tokens of Keycloak
    and Entra.
    """
    token = issuer.token(header=header, **(ROLES | claims))
    assert guarded.test_client().get("/students", headers=bearer(token)).status_code == 200


@pytest.mark.parametrize(
    ("header", "claims", "says"),
    [
        ({"typ": "logout+jwt"}, LOGOUT, "its header typ"),
        ({"typ": "logout+jwt"}, {}, "its header typ"),
        ({"typ": "application/logout+jwt"}, {}, "its header typ"),
        ({"typ": "secevent+jwt"}, {}, "its header typ"),
        ({"typ": "dpop+jwt"}, {}, "its header typ"),
        ({"typ": ""}, {}, "its header typ"),
        ({"typ": "JWT"}, LOGOUT, "its claim events"),
        ({}, LOGOUT | KEYCLOAK, "its claim events"),
        ({"typ": "at+jwt"}, LOGOUT, "its claim events"),
        ({}, {"events": None}, "its claim events"),
        ({}, {"azp": "another"}, "its claim azp"),
        ({}, {"azp": ["another", AUDIENCE]}, "its claim azp"),
        ({}, {"aud": BOTH}, "its claim azp"),
        ({}, {"aud": BOTH, "azp": "another"}, "its claim azp"),
        (
            {"typ": "JWT"},
            {"typ": "ID", "aud": BOTH, "azp": "another", "scope": "openid"},
            "its claim azp",
        ),
        ({"typ": "JWT"}, GOOGLE | {"azp": "android"}, "its claim azp"),
        (
            {"typ": "JWT"},
            {"aud": BOTH, "azp": "another", "nonce": "n", "scope": "openid"},
            "its claim azp",
        ),
        (
            {"typ": "JWT"},
            {"aud": BOTH, "azp": "another", "at_hash": "x", "scope": "openid"},
            "its claim azp",
        ),
        (
            {"typ": "JWT"},
            {"aud": BOTH, "azp": "another", "c_hash": "x", "scope": "openid"},
            "its claim azp",
        ),
    ],
)
def test_other_kinds_and_id_tokens_of_other_clients_are_refused(
    guarded, issuer, header, claims, says
):
    given = ROLES | claims
    # the issuer leaves out claims that are None
    nulls = {name: "null" for name, value in given.items() if value is None}
    answer = guarded.test_client().get(
        "/students", headers=bearer(issuer.token(header=header, **(given | nulls)))
    )
    assert problem(answer) == (401, "token-invalid")
    assert says in answer.json["detail"]


@pytest.mark.parametrize(
    ("stored", "claimed", "found"),
    [
        ("Ada@x.edu", "ADA@X.EDU", True),
        ("kate@x.edu", "KATE@x.edu", True),
        ("kate@x.edu", "\u212aate@x.edu", False),  # the Kelvin sign
        ("ada.strasse@strasse.de", "ada.straße@straße.de", False),
        ("ada.straße@straße.de", "ada.strasse@strasse.de", False),
        ("ada.straße@straße.de", "ada.straße@straße.de", False),
        ("sue@x.edu", "\u017fue@x.edu", False),  # the long s
        ("fi@x.edu", "\ufb01@x.edu", False),
    ],
)
def test_only_ascii_claims_name_a_student(app, make, make_app, issuer, stored, claimed, found):
    """Fails if addresses are compared by their case-folded keys: five tokens then sign in as
    another student.
    """
    student = make.student(email=stored)["id"]
    url = app.config["SQLALCHEMY_DATABASE_URI"].render_as_string(hide_password=False)
    guarded = make_app(
        url, auth="required", oidc=Oidc(issuer.url, AUDIENCE, student=("email", "email"))
    )
    token = issuer.token(email=claimed, email_verified=True)
    assert guarded.test_client().get(f"/students/{student}", headers=bearer(token)).status_code == (
        200 if found else 403
    )


@pytest.mark.parametrize(
    ("stored", "claimed"), [("K-1", "\u212a-1"), ("Å", "\u212b"), ("Å", "Å"), ("s-1", "S-1")]
)
def test_a_different_external_id_names_nobody(make, guarded, issuer, stored, claimed):
    student = make.student(external_id=stored)["id"]
    answer = guarded.test_client().get(
        f"/students/{student}", headers=bearer(issuer.token(number=claimed))
    )
    assert problem(answer) == (403, "scope-missing")
