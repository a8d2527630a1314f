"""Changing the attribute by which sign-ins recognise a student needs a scope of its own."""

from __future__ import annotations

import pytest

from course_management.config import Oidc
from tests.auth.issuer import AUDIENCE
from tests.conftest import bearer
from tests.web.problems import problem

ATTRIBUTES = [("external_id", "number", "e-1", "e-2"), ("email", "email", "ada@x.edu", "eve@x.edu")]


@pytest.fixture(params=ATTRIBUTES, ids=["external_id", "email"])
def recognised(request, app, make_app, issuer):
    """The attribute by which sign-ins recognise a student, two values, and a client of a service
    that uses it.
    """
    attribute, claim, one, other = request.param
    url = app.config["SQLALCHEMY_DATABASE_URI"].render_as_string(hide_password=False)
    guarded = make_app(
        url, auth="required", oidc=Oidc(issuer.url, AUDIENCE, student=(attribute, claim))
    )
    return attribute, one, other, guarded.test_client()


@pytest.fixture
def clerk(new_key):
    """A key that may write students but not change that attribute."""
    return bearer(new_key("students:write", name="clerk"))


@pytest.fixture
def registrar(new_key):
    """A key that may also change that attribute."""
    return bearer(new_key("students:write", "identities:write", name="registrar"))


def refused(answer):
    assert problem(answer) == (403, "scope-missing")
    assert answer.json["scope"] == "identities:write"
    assert (
        'error="insufficient_scope", scope="identities:write"' in answer.headers["WWW-Authenticate"]
    )
    return True


def test_setting_an_identity_needs_its_own_scope(recognised, clerk, registrar, new_key, lines):
    """Fails without the check: the clerk can create a student with the registrar's number."""
    attribute, one, other, client = recognised
    admin = bearer(new_key("admin", name="admin"))
    assert refused(client.post("/students", json={"name": "Eve", attribute: one}, headers=clerk))
    assert [line["code"] for line in lines() if line["event"] == "access refused"] == [
        "scope-missing"
    ]
    made = client.post("/students", json={"name": "Ada", attribute: one}, headers=registrar)
    assert made.status_code == 201
    path = made.headers["Location"]
    for method in (client.patch, client.put):
        assert refused(method(path, json={attribute: other}, headers=clerk))
        assert refused(method(path, json={"name": "Eve", attribute: None}, headers=clerk))
        assert client.get(path, headers=clerk).json == made.json
    assert client.patch(path, json={attribute: other}, headers=registrar).json[attribute] == other
    assert client.patch(path, json={attribute: None}, headers=registrar).json[attribute] is None
    assert refused(client.patch(path, json={attribute: one}, headers=clerk))
    assert client.patch(path, json={attribute: one}, headers=admin).json[attribute] == one


def test_other_changes_need_no_new_scope(recognised, clerk, registrar):
    attribute, one, _, client = recognised
    nobody = client.post("/students", json={"name": "Ada", attribute: None}, headers=clerk)
    assert nobody.status_code == 201
    assert (
        client.patch(
            nobody.headers["Location"], json={attribute: None, "name": "A"}, headers=clerk
        ).status_code
        == 200
    )
    path = client.post(
        "/students", json={"name": "Bob", attribute: one}, headers=registrar
    ).headers["Location"]
    for change in ({"name": "Bo"}, {attribute: one}, {attribute: f" {one} ", "name": "B"}):
        assert client.patch(path, json=change, headers=clerk).status_code == 200
    other = {"email": "external_id", "external_id": "email"}[attribute]
    assert client.patch(path, json={other: "b@x.edu"}, headers=clerk).json[other] == "b@x.edu"
    assert client.delete(path, headers=clerk).status_code == 204
    alone = client.post(
        "/students", json={"name": "x"}, headers={"Authorization": registrar["Authorization"]}
    )
    assert alone.status_code == 201


def test_the_identity_scope_alone_admits_to_no_route(recognised, new_key):
    attribute, one, _, client = recognised
    answer = client.post(
        "/students",
        json={"name": "x", attribute: one},
        headers=bearer(new_key("identities:write", name="i")),
    )
    assert (problem(answer), answer.json["scope"]) == ((403, "scope-missing"), "students:write")


@pytest.mark.parametrize("student", [None, ("id", "student")])
def test_without_an_identity_attribute_no_attribute_is_protected(
    app, make_app, issuer, clerk, student
):
    url = app.config["SQLALCHEMY_DATABASE_URI"].render_as_string(hide_password=False)
    client = make_app(
        url, auth="required", oidc=Oidc(issuer.url, AUDIENCE, student=student)
    ).test_client()
    made = client.post(
        "/students", json={"name": "x", "email": "x@x.edu", "external_id": "1"}, headers=clerk
    )
    assert made.status_code == 201


def test_with_auth_open_no_scope_is_needed(app, make_app, issuer):
    url = app.config["SQLALCHEMY_DATABASE_URI"].render_as_string(hide_password=False)
    client = make_app(
        url, auth="open", oidc=Oidc(issuer.url, AUDIENCE, student=("email", "email"))
    ).test_client()
    made = client.post("/students", json={"name": "x", "email": "x@x.edu"})
    assert made.status_code == 201
    assert client.patch(made.headers["Location"], json={"email": "y@x.edu"}).status_code == 200


def test_the_check_sends_no_statement(recognised, app, client, registrar, make, statements):
    attribute, one, other, guarded = recognised
    student = make.student(**{attribute: one})["id"]
    guarded.get("/students", headers=registrar)  # the key is remembered from now on
    with statements() as without:
        client.patch(f"/students/{student}", json={attribute: other})
    with statements(guarded.application) as sent:
        guarded.patch(f"/students/{student}", json={attribute: one}, headers=registrar)
    assert len(sent) == len(without)
