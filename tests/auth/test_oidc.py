"""Tokens of a real issuer over HTTP, with real keys: accepted and refused tokens, their principals,
and outages of the issuer.
"""

from __future__ import annotations

import base64
import hmac
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from course_management.auth import jwks as issuer_module
from course_management.auth import oidc
from course_management.config import Oidc
from course_management.core.errors import Unavailable
from tests.auth.issuer import AUDIENCE, Issuer
from tests.conftest import bearer
from tests.generated import examples
from tests.web.problems import problem

DISCOVERY = "/.well-known/openid-configuration"
REGISTRAR = {"realm_access": {"roles": ["registrar", "unheard of", 7]}}


@pytest.fixture
def ask(guarded):
    """Sends GET /students, which registrars may read, with a token; returns the status or the
    problem.
    """
    client = guarded.test_client()

    def go(token, path="/students"):
        answer = client.get(path, headers=bearer(token))
        return answer.status_code if answer.status_code == 200 else problem(answer)

    return go


def b64(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_a_valid_token_is_accepted(ask, issuer):
    assert ask(issuer.token(**REGISTRAR)) == 200
    assert ask(issuer.token(**REGISTRAR, aud=["another", AUDIENCE], scope="openid")) == 200
    now = int(time.time())
    # clocks differ
    for claims in (
        {"exp": now - 20},
        {"nbf": now + 20},
        {"iat": now + 20},
        {"nbf": None, "iat": None},
    ):
        assert ask(issuer.token(**REGISTRAR, **claims)) == 200, claims
    assert ask(issuer.token(**REGISTRAR, header={"x-ours": 1, "typ": "at+jwt"})) == 200


@pytest.mark.parametrize(
    ("claims", "says"),
    [
        ({"exp": 1_800_000_000 - 10**9}, "claim exp: expired token"),
        ({"exp": "soon"}, "claim exp: invalid claim"),
        ({"exp": None}, "claim exp: missing claim"),
        ({"exp": float("nan")}, "claim exp: invalid claim"),
        ({"nbf": 10**11}, "claim nbf: invalid claim"),
        ({"iat": 10**11}, "claim iat: invalid claim"),
        ({"aud": "another"}, "claim aud: invalid claim"),
        ({"aud": ["another"]}, "claim aud: invalid claim"),
        ({"aud": None}, "claim aud: missing claim"),
        ({"iss": "https://evil.example"}, "claim iss: invalid claim"),
        ({"iss": None}, "claim iss: missing claim"),
        ({"sub": None}, "claim sub: missing claim"),
        ({"sub": 7}, "claim sub: invalid claim"),
        ({"sub": "x" * 256}, "claim sub: it must have 1 to 255 characters"),
        ({"sub": "a\x00b"}, "claim sub: it must have 1 to 255 characters"),
    ],
)
def test_tokens_with_wrong_claims_are_refused(guarded, issuer, claims, says):
    answer = guarded.test_client().get(
        "/students", headers=bearer(issuer.token(**REGISTRAR, **claims))
    )
    assert problem(answer) == (401, "token-invalid")
    assert says in answer.json["detail"]


def test_an_expired_token_is_refused_beyond_the_clock_skew(ask, issuer):
    now = int(time.time())
    assert ask(issuer.token(**REGISTRAR, exp=now - oidc.LEEWAY_SECONDS - 1)) == (
        401,
        "token-invalid",
    )
    assert ask(issuer.token(**REGISTRAR, nbf=now + oidc.LEEWAY_SECONDS + 5)) == (
        401,
        "token-invalid",
    )


def test_forged_signatures_are_refused(ask, issuer):
    """Fails if all of ALGORITHMS are accepted instead of the algorithms in the setting."""
    good = issuer.token(**REGISTRAR)
    header, payload, signature = good.split(".")
    claims = jwt.decode(good, issuer.keys[0]).claims
    stranger = RSAKey.generate_key(2048, {"kid": "first"})
    symmetric = f"{b64({'alg': 'HS256', 'kid': 'first'})}.{payload}"
    mac = hmac.digest(issuer.keys[0].as_pem(private=False), symmetric.encode(), "sha256")
    tokens = {
        "none": f"{b64({'alg': 'none', 'kid': 'first'})}.{payload}.",
        "none, in capitals": f"{b64({'alg': 'NONE'})}.{payload}.",
        "HS256 with the public "
        "key": f"{symmetric}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}",
        "an algorithm not listed": jwt.encode(
            {"alg": "PS256", "kid": "first"}, claims, issuer.keys[0], algorithms=["PS256"]
        ),
        "another's key under a known id": jwt.encode(
            {"alg": "RS256", "kid": "first"}, claims, stranger
        ),
        "its own key in the header": jwt.encode(
            {"alg": "RS256", "jwk": stranger.as_dict(private=False)}, claims, stranger
        ),
        "no signature": f"{header}.{payload}.",
        "another payload": f"{header}.{b64(claims | {'sub': 'somebody else'})}.{signature}",
    }
    for kind, token in tokens.items():
        assert ask(token) == (401, "token-invalid"), kind
    assert ask(good) == 200


def test_only_the_algorithms_of_the_setting_are_accepted(app, make_app, issuer):
    url = app.config["SQLALCHEMY_DATABASE_URI"].render_as_string(hide_password=False)
    for algorithms, status in ((("RS256",), 403), (("ES256",), 401)):
        settings = Oidc(issuer.url, AUDIENCE, algorithms)
        client = make_app(url, auth="required", oidc=settings).test_client()
        answer = client.get("/students", headers=bearer(issuer.token()))
        assert answer.status_code == status, algorithms


@settings(
    max_examples=examples(60, 150),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    deadline=None,
)
@given(
    parts=st.lists(
        st.text(max_size=30)
        | st.binary(max_size=30).map(lambda b: base64.urlsafe_b64encode(b).decode()),
        max_size=5,
    )
)
@example(parts=["", "", ""])
@example(parts=[b64([]), "e30", "x"])
@example(parts=[b64({"alg": ["RS256"]}), "e30", "x"])
@example(parts=[b64({"alg": "RS256", "kid": {"a": 1}}), "e30", "x"])
@example(parts=[b64({"alg": "RS256", "crit": ["b64"], "b64": False}), "e30", "x"])
def test_nonsense_is_refused_and_never_a_500(ask, parts):
    token = ".".join(parts).encode("latin-1", "ignore").decode("latin-1")
    assert ask("".join(c for c in token if c.isprintable()) or "x")[0] == 401


def test_roles_grant_scopes_and_unknown_roles_grant_nothing(ask, issuer):
    assert ask(issuer.token(realm_access={"roles": "registrar head"})) == 200
    for roles in (
        {},
        {"realm_access": {"roles": ["admin", "students:read"]}},
        {"realm_access": ["registrar"]},
        {"realm_access": None},
    ):
        assert ask(issuer.token(**roles)) == (403, "scope-missing"), roles
    assert ask(issuer.token(**{"realm_access.roles": ["head"]})) == 200


@pytest.mark.parametrize(
    ("by", "claims", "found"),
    [
        ("external_id=number", {"number": "100"}, True),
        ("external_id=number", {"number": 100}, True),
        ("external_id=number", {"number": "1"}, False),
        ("external_id=number", {"number": "1\x00"}, False),
        ("external_id=number", {"number": ["100"]}, False),
        ("external_id=number", {}, False),
        ("external_id=profile.number", {"profile": {"number": "100"}}, True),
        ("id=student", {"student": "{id}"}, True),
        ("id=student", {"student": True}, False),
        ("id=student", {"student": "9" * 30}, False),
        ("id=student", {"student": "٣"}, False),
        ("email=email", {"email": "ADA@x.edu", "email_verified": True}, True),
        ("email=email", {"email": "ada@x.edu"}, False),
        ("email=email", {"email": "ada@x.edu", "email_verified": "true"}, False),
        ("email=email", {"email": "ada@x.edu", "email_verified": False}, False),
        ("email=email", {"email": "\ud800", "email_verified": True}, False),
    ],
)
def test_a_token_names_its_student(app, make, make_app, issuer, by, claims, found):
    student = make.student(external_id="100", email="ada@x.edu")["id"]
    url = app.config["SQLALCHEMY_DATABASE_URI"].render_as_string(hide_password=False)
    guarded = make_app(
        url, auth="required", oidc=Oidc(issuer.url, AUDIENCE, student=tuple(by.split("=")))
    )
    claims = {
        name: value.replace("{id}", str(student)) if isinstance(value, str) else value
        for name, value in claims.items()
    }
    answer = guarded.test_client().get(
        f"/students/{student}", headers=bearer(issuer.token(**claims))
    )
    assert answer.status_code == (200 if found else 403)


@pytest.mark.parametrize("seconds", [-300, 10])
def test_a_token_is_verified_only_once(guarded, issuer, make, statements, seconds):
    """A repeated token, good or bad, reaches neither the database nor the issuer. A token that
    expired `seconds` ago is still accepted, because clocks differ.
    """
    student, client = make.student(external_id="100")["id"], guarded.test_client()
    good = issuer.token(number="100", exp=int(time.time()) - seconds)
    bad = issuer.token(number="100", aud="another")
    assert client.get(f"/students/{student}", headers=bearer(good)).status_code == 200
    issuer.asked.clear()
    with statements(guarded) as sent:
        for _ in range(5):
            assert problem(client.get("/students", headers=bearer(good))) == (403, "scope-missing")
            assert problem(client.get("/students", headers=bearer(bad))) == (401, "token-invalid")
    assert (sent, issuer.asked) == ([], [])


def test_a_remembered_token_expires(ask, issuer):
    token = issuer.token(**REGISTRAR, exp=time.time() - oidc.LEEWAY_SECONDS + 1.5)
    assert ask(token) == 200
    began = time.monotonic()
    while ask(token) == 200:
        assert time.monotonic() - began < 3
    assert ask(token) == (401, "token-invalid")


def test_the_student_of_a_token_is_looked_up_again_after_a_minute(
    guarded, issuer, make, client, monkeypatch
):
    began, passed = time.time(), 0.0
    monkeypatch.setattr(oidc, "time", SimpleNamespace(time=lambda: began + passed))
    student, me, token = (
        make.student(external_id="100")["id"],
        guarded.test_client(),
        issuer.token(number="100"),
    )
    assert me.get(f"/students/{student}", headers=bearer(token)).status_code == 200
    client.patch(f"/students/{student}", json={"external_id": "101"})
    passed = 59.9
    assert me.get(f"/students/{student}", headers=bearer(token)).status_code == 200
    passed = 60.1
    assert me.get(f"/students/{student}", headers=bearer(token)).status_code == 403


def test_the_number_of_remembered_tokens_is_bounded(monkeypatch):
    monkeypatch.setattr(oidc, "MAX_REMEMBERED_TOKENS", 3)
    recent = oidc.ExpiringCache()
    for i in range(5):
        recent.put(bytes([i]), i, time.time() + 60)
    assert [recent.get(bytes([i])) for i in range(5)] == [None, None, 2, 3, 4]


def test_a_token_that_is_remembered_again_replaces_no_other(monkeypatch):
    monkeypatch.setattr(oidc, "MAX_REMEMBERED_TOKENS", 3)
    recent = oidc.ExpiringCache()
    for key in (b"a", b"b", b"c", b"b"):
        recent.put(key, "remembered", time.time() + 60)
    assert [recent.get(key) for key in (b"a", b"b", b"c")] == ["remembered"] * 3


@pytest.fixture
def own():
    """An issuer for one test."""
    made = Issuer()
    yield made
    made.stop()


@pytest.fixture
def at_own(app, make_app, own):
    """Sends requests to a service that trusts the issuer `own`."""
    url = app.config["SQLALCHEMY_DATABASE_URI"].render_as_string(hide_password=False)
    oidc_ = Oidc(own.url, AUDIENCE, ("RS256", "ES256"), "roles", (("r", ("students:read",)),))
    client = make_app(url, auth="required", oidc=oidc_).test_client()

    def go(token):
        answer = client.get("/students", headers=bearer(token))
        return answer.status_code if answer.status_code == 200 else problem(answer)

    return go


def test_a_new_key_of_the_issuer_is_fetched_but_not_for_every_unknown_one(at_own, own, monkeypatch):
    assert at_own(own.token(roles=["r"])) == 200
    own.keys = [ECKey.generate_key("P-256", {"kid": "second"}), own.keys[0]]
    rotated = {"roles": ["r"], "header": {"alg": "ES256"}}
    # the keys were fetched a moment ago
    assert at_own(own.token(**rotated)) == (401, "token-invalid")
    monkeypatch.setattr(issuer_module, "RETRY_SECONDS", 0.0)
    assert at_own(own.token(**rotated, jti="again")) == 200
    assert at_own(own.token(own.keys[1], roles=["r"], jti="the old key")) == 200
    monkeypatch.setattr(issuer_module, "RETRY_SECONDS", 10.0)
    own.asked.clear()
    stranger = RSAKey.generate_key(2048)
    for i in range(50):
        assert at_own(own.token(stranger, header={"kid": f"unknown {i}"}, roles=["r"])) == (
            401,
            "token-invalid",
        )
    assert own.asked == []


def test_a_key_that_the_issuer_removed_is_refused(at_own, own, monkeypatch):
    token = own.token(roles=["r"])
    assert at_own(token) == 200
    own.keys = [RSAKey.generate_key(2048, {"kid": "second"})]
    for name, value in (("RETRY_SECONDS", 0.0), ("REFRESH_SECONDS", 0.0)):
        monkeypatch.setattr(issuer_module, name, value)
    monkeypatch.setattr(oidc, "ACCEPTED_SECONDS", 0.0)
    assert at_own(own.token(own.keys[0], roles=["r"])) == 200
    assert at_own(own.token(RSAKey.generate_key(2048, {"kid": "first"}), roles=["r"])) == (
        401,
        "token-invalid",
    )


def test_the_last_keys_are_used_while_the_issuer_is_not_reachable(at_own, own, monkeypatch):
    """The last fetched keys stay in use. Without any keys the response is 503 and not 401."""
    monkeypatch.setattr(issuer_module, "RETRY_SECONDS", 0.0)
    own.stop()
    assert at_own(own.token(roles=["r"])) == (503, "service-unavailable")
    own.start()
    assert at_own(own.token(roles=["r"])) == 200
    own.stop()
    monkeypatch.setattr(issuer_module, "REFRESH_SECONDS", 0.0)
    assert at_own(own.token(roles=["r"], jti="while it is away")) == 200
    monkeypatch.setattr(issuer_module, "ISSUER_KEYS_MAX_AGE_SECONDS", 0.0)
    assert at_own(own.token(roles=["r"], jti="a day later")) == (503, "service-unavailable")
    own.start()
    monkeypatch.undo()


def test_keys_are_fetched_again_after_ten_minutes_and_used_for_a_day(own, monkeypatch):
    began, passed = 1_000_000.0, 0.0
    monkeypatch.setattr(issuer_module, "time", SimpleNamespace(monotonic=lambda: began + passed))
    issuer = issuer_module.Issuer(own.url)
    issuer.keys()
    passed = 599.0
    issuer.keys()
    assert own.asked.count("/keys") == 1
    passed = 601.0
    issuer.keys()
    assert own.asked.count("/keys") == 2
    own.stop()
    passed = 601.0 + 86_399
    assert issuer.keys()
    passed = 601.0 + 86_401
    with pytest.raises(Unavailable):
        issuer.keys()
    own.start()


@pytest.mark.parametrize("path", ["/", "/realms/X", "/realms/X/"])
def test_the_address_of_an_issuer_may_have_a_path_and_end_with_a_slash(own, monkeypatch, path):
    about = {"issuer": own.url + path, "jwks_uri": f"{own.url}/keys"}
    documents = {path.rstrip("/") + DISCOVERY: about, "/keys": own.documents()["/keys"]}
    monkeypatch.setattr(own, "documents", lambda: documents)
    fetched = issuer_module.Issuer(own.url + path).keys()
    assert [key.kid for key in fetched] == ["first"]


def test_an_issuer_that_never_answers_is_not_waited_for(at_own, own, monkeypatch):
    """Fails without a timeout: the request then lasts as long as the issuer is silent."""
    monkeypatch.setattr(issuer_module, "TIMEOUT_SECONDS", 0.1)
    own.stop()
    with (
        socket.create_server(("127.0.0.1", own.port)) as silent,
        ThreadPoolExecutor() as pool,
    ):
        asking = pool.submit(at_own, own.token(roles=["r"]))
        connection, _ = silent.accept()
        with connection:
            assert asking.result(timeout=10) == (503, "service-unavailable")
    own.start()


def test_redirects_of_an_issuer_are_not_followed(at_own, own):
    """Fails with urllib's default handling of redirects: the keys then come from elsewhere."""
    elsewhere = Issuer()
    elsewhere.keys, elsewhere.documents = own.keys, own.documents
    own.elsewhere = elsewhere.url
    assert at_own(own.token(roles=["r"])) == (503, "service-unavailable")
    assert elsewhere.asked == []
    elsewhere.stop()


@pytest.mark.parametrize(
    "broken",
    [
        {
            DISCOVERY: {
                "issuer": "https://evil.example",
                "jwks_uri": "https://evil.example/keys",
            }
        },
        {
            DISCOVERY: {
                "issuer": "URL",
                "jwks_uri": "http://evil.example/keys",
            }
        },
        {DISCOVERY: {"issuer": "URL"}},
        {DISCOVERY: []},
        {
            DISCOVERY: {
                "issuer": "URL",
                "jwks_uri": "URL/keys",
                "longer than": "a mebibyte" * 2**17,
            }
        },
        {"/keys": {"keys": []}},
        {"/keys": {"keys": [{"kty": "RSA"}, None, "x"]}},
        {"/keys": None},
    ],
)
def test_malformed_documents_of_an_issuer_give_no_keys(at_own, own, monkeypatch, broken):
    documents = json.loads(json.dumps(own.documents() | broken).replace("URL", own.url))
    monkeypatch.setattr(own, "documents", lambda: documents)
    assert at_own(own.token(roles=["r"])) == (503, "service-unavailable")


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"aud": "another"}, " for its claim aud: invalid claim."),
        (
            {"sub": "x" * 256},
            " for its claim sub: it must have 1 to 255 characters and no control characters.",
        ),
        ({"header": {"typ": "logout+jwt"}}, " for its header typ: it must be JWT or at+jwt."),
        (
            {"events": {}},
            " for its claim events: it reports an event, such as a logout, and is not for signing "
            "in.",
        ),
        (
            {"azp": "another"},
            " for its claim azp: it is an ID token that was issued to another client; send an "
            "access token.",
        ),
        ({"header": {"alg": "PS256"}}, ": unsupported algorithm."),
    ],
)
def test_the_response_says_why_a_token_is_refused(guarded, issuer, changes, detail):
    token = issuer.token(**changes)
    answer = guarded.test_client().get("/students", headers=bearer(token))
    assert problem(answer) == (401, "token-invalid")
    assert answer.json["detail"] == f"This token is refused{detail}"


@pytest.mark.parametrize(
    ("path", "changes", "reason"),
    [
        (DISCOVERY, {"issuer": "https://evil.example"}, "it calls itself 'https://evil.example'"),
        (DISCOVERY, {"jwks_uri": "http://evil.example"}, "'http://evil.example' is not https"),
        ("/keys", {"keys": []}, "it has no keys"),
    ],
)
def test_the_log_says_why_the_keys_of_an_issuer_are_not_fetched(
    at_own, own, monkeypatch, lines, path, changes, reason
):
    documents = own.documents()
    documents[path].update(changes)
    monkeypatch.setattr(own, "documents", lambda: documents)
    assert at_own(own.token()) == (503, "service-unavailable")
    assert [
        (line["issuer"], line["reason"])
        for line in lines()
        if line["event"] == "issuer's keys not fetched"
    ] == [(own.url, reason)]
