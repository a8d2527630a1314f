"""The decisions of nginx itself: request limits, headers for pages of other origins, and its own
responses.
"""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from course_management.web import cors
from devtools.topology import ROOT, Topology
from devtools.waiting import wait_until
from tests.deploy.client import ask, raw
from tests.deploy.test_nginx import is_problem

APP, OTHER = "https://app.example.edu", "http://localhost:3000"
TOO_LARGE = b"Content-Length: 9999999\r\n"
LIMITS = {"ADDRESS_RATE": "1", "ADDRESS_BURST": "30", "KEY_RATE": "1", "KEY_BURST": "5"}


@pytest.fixture(scope="module")
def up():
    with Topology({"CORS_ORIGINS": f"{APP}, {OTHER}"}) as topology:
        yield topology


@pytest.fixture(scope="module")
def strict():
    """Like `up`, with small limits: an address may send 31 requests at once, and a key 6."""
    with Topology({"CORS_ORIGINS": f"{APP}, {OTHER}"}, LIMITS) as topology:
        yield topology


def use(up, token="", source="127.0.0.1", method="GET", **headers):
    sent = {name.replace("_", "-"): value for name, value in headers.items()} | (
        {"Authorization": token} if token else {}
    )
    return ask(up, method, "/courses", headers=sent, source=source)


def shown(answer):
    return set(answer.headers.get("Access-Control-Expose-Headers", "").split(", "))


@pytest.mark.parametrize("path", [b"/health", b"/courses", b"/health/live"])
def test_http_1_0_without_host_is_accepted(up, path):
    """RFC 9112 section 3.2 requires Host only in HTTP/1.1. Health checks of load balancers send
    none.
    """
    for host in (b"", b"Host: x\r\n"):
        assert raw(up, b"GET " + path + b" HTTP/1.0\r\n" + host + b"\r\n").status == 200


@pytest.mark.parametrize("length", [20, 63, 128, 129, 4096, 4097, 8100])
def test_a_token_of_any_length_is_counted_as_a_key(strict, length):
    """Fails with a limit of 4,096 characters: longer tokens then count as guesses."""
    source = f"127.0.4.{length % 250 + 1}"
    tokens = [f"Bearer {i:02}".ljust(length + 7, "a")[:-2] + f"{i:02}" for i in range(25)]
    assert {use(strict, token, source).status for token in tokens} == {200}
    policies = use(strict, tokens[0], source).headers["RateLimit-Policy"]
    assert '"key"' in policies and '"guess"' not in policies


@pytest.mark.parametrize("length", [40, 8100])
def test_each_token_has_its_own_limit_whatever_its_length(strict, length):
    assert [
        use(strict, "Bearer " + "c" * length, f"127.0.5.{length % 250}").status for _ in range(9)
    ][:6] == [200] * 6
    assert use(strict, "bearer " + "c" * length, f"127.0.6.{length % 250}").status == 429


class _Echo(BaseHTTPRequestHandler):
    """Answers with the headers of the request."""

    def do_GET(self):
        body = json.dumps(dict(self.headers.items())).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def echoed():
    """nginx in front of a server that answers with the headers that nginx sends it."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Echo) as echo:
        thread = threading.Thread(target=echo.serve_forever)
        thread.start()
        with Topology(nginx={"UPSTREAM": f"127.0.0.1:{echo.server_port}"}) as topology:
            yield topology
        echo.shutdown()
        thread.join()


@pytest.mark.parametrize("path", ["/health", "/metrics"])
def test_forwarding_headers_of_a_client_are_removed(up, echoed, path):
    """Fails for each of these headers without its line in nginx.conf."""
    names = ("Ssl", "Protocol", "Scheme", "Host")
    said = {"Forwarded": "for=6.6.6.6"} | {f"X-Forwarded-{name}": "on" for name in names}
    for topology in (up, echoed):
        port = topology.metrics_port if path == "/metrics" else topology.port
        answer = ask(topology, "GET", path, headers=said, port=port)
        assert answer.status == 200
    assert answer.json.keys() & said.keys() == set()


def test_every_response_names_the_limits_and_a_429_the_exceeded_one(strict):
    """draft-ietf-httpapi-ratelimit-headers-10: RateLimit-Policy and RateLimit."""
    first = use(strict, source="127.0.7.1")
    assert (first.headers["RateLimit-Policy"], first.headers["RateLimit"]) == (
        '"address";q=1;w=1',
        None,
    )
    for token, share, policy in (
        ("", "address", '"address";q=1;w=1'),
        ("Bearer " + "d" * 40, "key", '"address";q=1;w=1, "key";q=1;w=1'),
        ("Basic YTpi", "guess", '"address";q=1;w=1, "guess";q=5;w=1'),
    ):
        refused = [use(strict, token, "127.0.7.2") for _ in range(50)][-1]
        assert is_problem(refused, 429)
        assert refused.headers["RateLimit-Policy"] == policy
        assert refused.headers["RateLimit"] == f'"{share}";r=0;t=1'
        assert refused.headers["Retry-After"] == "1"


@pytest.mark.parametrize("origin", [APP, OTHER])
def test_a_page_of_a_listed_origin_may_read_the_refusals_of_nginx(up, strict, origin):
    """Without these headers, a page gets a TypeError instead of the status and Retry-After."""
    sent = b"Origin: " + origin.encode() + b"\r\nHost: x\r\n"
    answers = [raw(up, b"POST /courses HTTP/1.1\r\n" + sent + TOO_LARGE + b"\r\n")]
    answers += [[use(strict, source="127.0.8.1", Origin=origin) for _ in range(50)][-1]]
    assert [answer.status for answer in answers] == [413, 429]
    for answer in answers:
        assert answer.headers["Access-Control-Allow-Origin"] == origin
        assert "Origin" in answer.headers.get_all("Vary")
        assert {"Retry-After", "RateLimit", "RateLimit-Policy", "X-Request-ID"} <= shown(answer)


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "*",
        APP + ".evil.example",
        "https://appxexample.edu",
        "app.example.edu",
        APP + ",",
        f"{APP}, {OTHER}",
        APP.upper(),
    ]
    + [
        f"x,{APP} {APP}",
        "x, https://evil.example|https://evil.example",
        "https://evil.example|https://evil.example",
    ],
)
def test_a_page_of_another_origin_may_not(up, origin):
    answer = raw(
        up,
        b"POST /courses HTTP/1.1\r\nHost: x\r\nOrigin: "
        + origin.encode()
        + b"\r\n"
        + TOO_LARGE
        + b"\r\n",
    )
    assert answer.status == 413
    assert answer.headers.get_all("Vary") == ["Origin"]
    assert not [name for name in answer.headers if name.startswith("Access-Control")]
    asked = use(up, method="OPTIONS", Origin=origin, Access_Control_Request_Method="POST")
    assert not [name for name in asked.headers if name.startswith("Access-Control")]


def test_without_listed_origins_no_origin_gets_cors_headers():
    with Topology() as up:
        answer = raw(
            up,
            b"POST /courses HTTP/1.1\r\nHost: x\r\nOrigin: "
            + APP.encode()
            + b"\r\n"
            + TOO_LARGE
            + b"\r\n",
        )
        assert answer.headers["Vary"] is None
        assert not [name for name in answer.headers if name.startswith("Access-Control")]
        up.stop_gunicorn()
        assert is_problem(use(up, Origin=APP), 502)
        up.start_gunicorn()


def test_a_page_may_read_that_the_service_is_down():
    with Topology({"CORS_ORIGINS": APP}) as up:
        up.stop_gunicorn()
        answer = use(up, Origin=APP)
        assert is_problem(answer, 502)
        assert (answer.headers["Access-Control-Allow-Origin"], answer.headers["Retry-After"]) == (
            APP,
            "2",
        )
        up.start_gunicorn()


def test_a_preflight_request_is_never_limited(strict):
    """If a browser gets 429 for a preflight request, it does not send the request, and the page
    cannot read the reason.
    """
    asked = [
        use(
            strict,
            source="127.0.9.1",
            method="OPTIONS",
            Origin=APP,
            Access_Control_Request_Method="PUT",
        )
        for _ in range(80)
    ]
    assert {answer.status // 100 for answer in asked} == {2}
    for answer in (asked[0], asked[-1]):
        assert answer.headers["Access-Control-Allow-Origin"] == APP
        assert {"PUT", "POST", "PATCH", "DELETE"} <= set(
            answer.headers["Access-Control-Allow-Methods"].split(", ")
        )
        assert answer.headers["Access-Control-Allow-Headers"] == cors.REQUEST_HEADERS
        assert answer.headers["Access-Control-Max-Age"] == "600"
    # and takes nothing of the share of its address
    assert use(strict, source="127.0.9.1").status == 200


def test_other_options_requests_reach_the_service_and_are_limited(strict):
    answers = [use(strict, source="127.0.10.1", method="OPTIONS", Origin=APP) for _ in range(50)]
    assert answers[0].headers["Allow"]
    assert answers[-1].status == 429


def test_nginx_exposes_the_same_headers_as_the_service(up):
    answer = raw(
        up,
        b"POST /courses HTTP/1.1\r\nHost: x\r\nOrigin: "
        + APP.encode()
        + b"\r\n"
        + TOO_LARGE
        + b"\r\n",
    )
    assert answer.headers["Access-Control-Expose-Headers"] == cors.RESPONSE_HEADERS
    assert use(up, Origin=APP).headers["Access-Control-Expose-Headers"] == cors.RESPONSE_HEADERS


def test_no_response_shows_the_version_of_nginx(up):
    requests = (
        b"nonsense\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /metrics/x HTTP/1.1\r\nHost: x\r\n\r\n",
    )
    for port in (up.port, up.metrics_port):
        for request in (*requests, b"POST / HTTP/1.1\r\nHost: x\r\n" + TOO_LARGE + b"\r\n"):
            answer = raw(up, request, port=port)
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert answer.headers["Server"] in (None, "nginx")
            assert not re.search(rb"nginx", answer.body)


def test_a_head_request_refused_by_nginx_gets_no_body(up):
    answer = raw(
        up,
        b"HEAD /courses HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + TOO_LARGE + b"\r\n",
        method="HEAD",
    )
    assert (answer.status, answer.body) == (413, b"")


def test_the_limits_of_the_documents_are_those_of_nginx():
    settings = dict(
        re.findall(r"^([A-Z_]+)=(\d+)$", (ROOT / "deploy" / "nginx.env").read_text(), re.M)
    )
    for document in ("api.md", "operations.md"):
        text = (ROOT / "docs" / document).read_text().replace(",", "")
        for of in ("KEY", "ADDRESS"):
            assert f"{settings[of + '_RATE']} a second {settings[of + '_BURST']}" in text


def test_an_exceeded_limit_allows_requests_again_later(strict):
    wait_until(lambda: use(strict, source="127.0.7.2").status == 200)
