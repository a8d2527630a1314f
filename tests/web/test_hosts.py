"""Without AUTH the service is open to this machine only: DNS rebinding is refused."""

from __future__ import annotations

import pytest

from devtools.gunicorn import Gunicorn
from tests.sockets import exchange, status_of
from tests.web.problems import problem

LOOPBACK = [
    *(
        "localhost",
        "LocalHost:8000",
        "localhost.",
        "app.localhost:8000",
        "127.0.0.1",
        "127.0.0.1:8000",
        "127.9.8.7:1",
    ),
    *("[::1]", "[::1]:8000", ""),
]
OTHERS = [
    *(
        "evil.example",
        "evil.example:8000",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "notlocalhost",
        "x:8000",
    ),
    *(
        "128.0.0.1",
        "10.0.0.1:8000",
        "[::2]",
        "[::ffff:10.0.0.1]",
        "0.0.0.0",
        "evil@localhost",
        "localhost,evil.example",
    ),
    *("localhost:8000:80", "localhost/", " ", "a." * 3000, "127.0.0.1\tx"),
]


@pytest.mark.parametrize("host", LOOPBACK)
def test_names_of_this_machine_are_accepted(client, host):
    assert client.get("/courses", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", OTHERS)
def test_other_host_names_are_refused(client, make, host):
    """Fails without the check: a page of evil.example can then read and write."""
    make.student(name="Ada")
    for method, path in (
        ("GET", "/students"),
        ("GET", "/docs"),
        ("GET", "/nowhere"),
        ("GET", "/metrics"),
        ("OPTIONS", "/courses"),
    ):
        answer = client.open(path, method=method, headers={"Host": host})
        assert problem(answer) == (421, "misdirected-request")
        assert "AUTH=open" in answer.json["detail"]
        assert "Ada" not in answer.text
    assert (
        problem(client.post("/courses", json={"name": "a", "level": "b"}, headers={"Host": host}))[
            0
        ]
        == 421
    )
    assert client.get("/courses").json == []


@pytest.mark.parametrize(
    ("target", "host", "status"),
    [
        ("http://evil.example/courses", "localhost", 421),
        ("http://localhost/courses", "evil.example", 200),
        ("http://evil@localhost/courses", "localhost", 421),
        ("/courses", "localhost", 200),
    ],
)
def test_the_name_in_an_absolute_target_counts(client, target, host, status):
    """The host of an absolute target replaces Host (RFC 9112, section 3.2.2)."""
    assert (
        client.get("/", headers={"Host": host}, environ_overrides={"RAW_URI": target}).status_code
        == status
    )


@pytest.mark.parametrize("auth", ["open", "required"])
def test_with_auth_set_every_host_name_is_accepted(app, make_app, auth):
    url = app.config["SQLALCHEMY_DATABASE_URI"].render_as_string(hide_password=False)
    client = make_app(url, auth=auth).test_client()
    for host in OTHERS:
        assert client.get("/health/live", headers={"Host": host}).status_code == 200


def test_host_names_are_checked_by_the_real_server(new_database, tmp_path):
    """HTTP/1.0 needs no Host. Requests that are not HTTP are refused with 400."""
    with Gunicorn({"DATABASE_URL": new_database("sqlite"), "AUTH": ""}, tmp_path / "log") as server:

        def status(head):
            return status_of(exchange(server.port, head + b"\r\n\r\n"))

        assert status(b"GET /health/live HTTP/1.0") == 200
        assert (
            status(
                b"GET /health/live HTTP/1.1\r\nConnection: close\r\nHost: localhost:%d"
                % server.port
            )
            == 200
        )
        assert (
            status(
                b"GET /health/live HTTP/1.1\r\nConnection: close\r\nHost: evil.example:%d"
                % server.port
            )
            == 421
        )
        assert (
            status(
                b"GET http://evil.example/health/live HTTP/1.1\r\nConnection: close\r\nHost: "
                b"localhost"
            )
            == 421
        )
        two = b"Host: localhost\r\nHost: evil.example\r\nConnection: close"
        assert status(b"GET /health/live HTTP/1.1\r\n" + two) == 400
        assert status(b"nonsense") == 400
    assert (
        "AUTH is not set: everybody on this machine may do everything, through loopback names only."
        in (tmp_path / "log").read_text()
    )
