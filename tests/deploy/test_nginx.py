"""The public side of the service: nginx with deploy/nginx.conf, gunicorn on a unix socket, and
PostgreSQL.
"""

from __future__ import annotations

import gzip
import json
import re
import ssl
import time
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from course_management.web import problems
from devtools.postgres import free_port
from devtools.topology import ROOT, Topology
from devtools.waiting import wait_until
from tests.deploy.client import ask, events, raw

TOKEN = "Bearer " + "a" * 40


@pytest.fixture(scope="module")
def up():
    with Topology() as topology:
        yield topology


def is_problem(answer, status):
    """Whether this is a problem document with the texts of the service and an own page."""
    code, title, remedy = problems.words(status)
    assert (answer.status, answer.headers["Content-Type"]) == (status, "application/problem+json")
    document = answer.json
    assert document.keys() == {"type", "title", "status", "detail", "instance", "request_id"}
    assert (document["type"], document["title"], document["status"]) == (
        f"/problems/{code}",
        title,
        status,
    )
    assert document["detail"] == f"{title} {remedy}"
    assert document["request_id"] == answer.headers["X-Request-ID"]
    return True


@pytest.mark.parametrize(
    "name",
    ["Input/Output", "A//B", "C++ & C#?", "100%", "Ünï %2F cödé", "a%00b".replace("%00", "%30")],
)
def test_an_encoded_name_reaches_the_service_unchanged(up, name):
    """Fails with `proxy_pass http://course_management/;`: the first two requests then get 404."""
    made = ask(up, "POST", "/courses", {"name": name, "level": "x"})
    assert made.status == 201
    found = ask(up, "GET", "/api/v1/courses/" + quote(name, safe=""))
    assert (found.status, found.json) == (200, made.json)


def test_head_has_the_headers_of_get_and_no_body(up):
    location = ask(up, "POST", "/students", {"name": "Ada"}).headers["Location"]
    head, get = ask(up, "HEAD", location), ask(up, "GET", location)
    assert (head.status, head.body, head.headers["ETag"]) == (200, b"", get.headers["ETag"])
    assert head.headers["Content-Length"] == str(len(get.body))
    assert "Server" not in get.headers or get.headers["Server"] == "nginx"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /courses HTTP/1.1\r\n\r\n", 400),
        (b"GET /a%00b HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /../x HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"POST /courses HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (b"TRACE / HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"POST /courses HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n", 413),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 9000 + b"\r\n\r\n", 431),
        (b"POST /courses HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"GET / HTTP/3.0\r\nHost: x\r\n\r\n", 505),
    ],
)
def test_refusals_of_nginx_are_problem_documents(up, request_, status):
    answer = raw(up, request_)
    assert is_problem(answer, status)
    assert (answer.headers["Allow"] is not None) == (status == 405)
    assert ask(up, "GET", answer.json["type"]).status == 200


def test_the_path_in_a_problem_of_nginx_is_valid_json(up):
    head = b" HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n"
    assert raw(up, b"POST /courses/a%2Fb?q=1" + head).json["instance"] == "/courses/a%2Fb"
    for path in (b'/cou"rses', b"/cou\\rses", b"/cou\xffrses"):
        assert raw(up, b"POST " + path + head).json["instance"] == ""


def test_a_body_of_exactly_one_mebibyte_is_accepted(up):
    body = json.dumps({"name": "a"}).encode().ljust(2**20)
    assert ask(up, "POST", "/students", body, {"Content-Type": "application/json"}).status == 201


def test_nginx_has_the_same_texts_as_the_service():
    """Every problem document of nginx has the same words as the service's, and no status of nginx
    lacks one.
    """
    text = (ROOT / "deploy" / "nginx.conf").read_text()
    said = {
        int(status): json.loads("{" + fields + "}")
        for status, fields in re.findall(r"^    (\d+) '(\"type\".*)';$", text, re.M)
    }
    for status, document in said.items():
        code, title, remedy = problems.words(status)
        assert document == {
            "type": f"/problems/{code}",
            "title": title,
            "status": status,
            "detail": f"{title} {remedy}",
        }
    answered = {
        int(status)
        for line in re.findall("error_page (.*) /.problem;", text)
        for status in re.findall(r"=?(\d+)", line)
    }
    assert answered - {494, 497} == said.keys()  # what it calls 494 and 497 becomes 431 and 400


@pytest.mark.parametrize(
    "path",
    [
        "/metrics",
        "/api/v1/metrics",
        "/metrics/",
        "//metrics",
        "/%6detrics",
        "/a/../metrics",
        "/metrics?a",
    ],
)
def test_metrics_are_closed_to_the_public(up, path):
    answer = ask(up, "GET", path)
    assert is_problem(answer, 404)
    wait_until(lambda: answer.json["request_id"] in up.nginx_log.read_text())
    (line,) = [e for e in events(up.nginx_log) if e["request_id"] == answer.json["request_id"]]
    assert line["upstream_status"] == ""  # the service was not asked


def test_only_metrics_are_open_on_the_internal_address(up):
    # the service's answer
    assert "X-Request-ID" in ask(up, "GET", "/metrics", port=up.metrics_port).headers
    inside = ask(up, "GET", "/courses", port=up.metrics_port)
    assert (inside.status, "X-Request-ID" in inside.headers) == (404, False)


def test_a_request_id_is_passed_on_and_returned(up):
    answer = ask(up, "GET", "/courses", headers={"X-Request-ID": "mine-1"})
    assert answer.headers.get_all("X-Request-ID") == ["mine-1"]
    for log in (up.gunicorn_log, up.nginx_log):
        wait_until(
            lambda log=log: len([e for e in events(log) if e["request_id"] == "mine-1"]) == 1
        )


@pytest.mark.parametrize("unfit", ["", "with space", "a" * 129, 'quote"', "<b>"])
def test_an_invalid_request_id_is_replaced_by_one_id_for_both(up, unfit):
    given = ask(up, "GET", "/courses", headers={"X-Request-ID": unfit}).headers["X-Request-ID"]
    assert re.fullmatch("[0-9a-f]{32}", given)
    for log in (up.gunicorn_log, up.nginx_log):
        wait_until(lambda log=log: len([e for e in events(log) if e["request_id"] == given]) == 1)


def test_the_log_has_the_real_address_of_the_client(up):
    """Fails if the service takes the first address of `$proxy_add_x_forwarded_for`, or if nginx
    passes on the client's header: the log then has 6.6.6.6.
    """
    spoof = {
        "X-Forwarded-For": "6.6.6.6",
        "X-Real-IP": "6.6.6.6",
        "Forwarded": "for=6.6.6.6",
        "X-Request-ID": "spoof",
    }
    assert ask(up, "GET", "/courses", headers=spoof, source="127.0.0.9").status == 200
    for log in (up.gunicorn_log, up.nginx_log):
        wait_until(
            lambda log=log: (
                [e["client"] for e in events(log) if e["request_id"] == "spoof"] == ["127.0.0.9"]
            )
        )


def test_nginx_logs_no_name(up):
    assert (
        ask(
            up, "GET", "/students?email=turing%40example.edu", headers={"X-Request-ID": "nameless"}
        ).status
        == 200
    )
    wait_until(lambda: "nameless" in up.nginx_log.read_text())
    assert "turing" not in up.nginx_log.read_text() + up.gunicorn_log.read_text()


def test_a_tag_weakened_by_compression_still_protects_an_edit(up):
    made = ask(up, "POST", "/courses", {"name": "𝔸" * 200, "level": "x", "external_id": "e" * 255})
    address = made.headers["Location"]
    plain, packed = (
        ask(up, "GET", address),
        ask(up, "GET", address, headers={"Accept-Encoding": "gzip"}),
    )
    assert (packed.headers["Content-Encoding"], packed.headers["Vary"]) == (
        "gzip",
        "Accept-Encoding",
    )
    assert gzip.decompress(packed.body) == plain.body
    tag = packed.headers["ETag"]
    assert tag == "W/" + plain.headers["ETag"]
    assert (
        ask(up, "GET", address, headers={"Accept-Encoding": "gzip", "If-None-Match": tag}).status
        == 304
    )
    assert ask(up, "PATCH", address, {"level": "y"}, {"If-Match": tag}).status == 200
    assert ask(up, "PATCH", address, {"level": "z"}, {"If-Match": tag}).status == 412


@pytest.fixture(scope="module")
def strict():
    """A service with small limits: a key may send one request a second and three more at once, an
    address sixty more.
    """
    with Topology(
        nginx={"KEY_RATE": "1", "KEY_BURST": "3", "ADDRESS_RATE": "1", "ADDRESS_BURST": "60"}
    ) as topology:
        yield topology


def test_a_key_has_its_own_limit_from_every_address(strict):
    def use(token, source):
        return ask(strict, "GET", "/courses", headers={"Authorization": token}, source=source)

    answers = [use(TOKEN, f"127.0.1.{i % 4 + 1}") for i in range(12)]
    passed = sum(answer.status == 200 for answer in answers)
    assert 4 <= passed <= 6  # one, three more, and what the seconds of the test gave
    refused = next(answer for answer in answers if answer.status == 429)
    assert is_problem(refused, 429)
    assert int(refused.headers["Retry-After"]) >= 1
    assert use("Bearer " + "b" * 40, "127.0.1.1").status == 200  # another key's share is its own
    wait_until(lambda: use(TOKEN, "127.0.1.1").status == 200)


def test_an_address_has_a_larger_limit_of_its_own(strict):
    answers = [ask(strict, "GET", "/courses", source="127.0.2.1").status for _ in range(80)]
    assert answers[:61] == [200] * 61
    assert 429 in answers[61:]
    assert ask(strict, "GET", "/courses", source="127.0.2.2").status == 200


def test_headers_that_cannot_be_tokens_have_a_small_limit(strict):
    bad = [
        ask(
            strict, "GET", "/courses", headers={"Authorization": f"Bearer {i}"}, source="127.0.3.1"
        ).status
        for i in range(40)
    ]
    assert bad[:21] == [200] * 21
    assert 429 in bad[21:]
    # the limit is for guesses
    assert ask(strict, "GET", "/courses", source="127.0.3.1").status == 200


def test_a_401_response_is_sent_slowly():
    """Fails without `limit_rate`: the response then takes milliseconds."""
    with Topology({"AUTH": "required"}) as up:
        for path, status, slow in (("/courses", 401, True), ("/health", 200, False)):
            began = time.monotonic()
            assert ask(up, "GET", path, headers={"Authorization": TOKEN}).status == status
            assert (time.monotonic() - began > 1) is slow


def certificate(folder):
    """A certificate for localhost and its key, in the files of deploy/nginx-tls.conf."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    made = x509.CertificateBuilder(
        name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1)
    )
    made = made.add_extension(
        x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False
    )
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    (folder / "fullchain.pem").write_bytes(
        made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    )
    (folder / "privkey.pem").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )


def test_tls(tmp_path):
    """Over TLS, every response has Strict-Transport-Security, including those of nginx itself. Over
    plain HTTP, none has it (RFC 6797, section 7.2).
    """
    up, port = Topology({"CORS_ORIGINS": "https://app.example.edu"}), free_port()
    certificate(tmp_path)
    text = (ROOT / "deploy" / "nginx-tls.conf").read_text()
    text = text.replace("/etc/course-management/tls", str(tmp_path)).replace(
        "listen 443", f"listen 127.0.0.1:{port}"
    )
    (up.home / "course-management-tls.conf").write_text(text)
    context = ssl.create_default_context(cafile=tmp_path / "fullchain.pem")
    with up:
        for request, status in (
            (b"GET /courses HTTP/1.1\r\nHost: x\r\n\r\n", 200),
            (b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n", 404),
            (b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 404),
            (b"POST /courses HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n", 413),
            (b"GET /courses HTTP/1.1\r\n\r\n", 400),
            (
                b"OPTIONS /courses HTTP/1.1\r\nHost: x\r\nOrigin: https://app.example.edu\r\n"
                b"Access-Control-Request-Method: PUT\r\n\r\n",
                204,
            ),
            (b"GET /courses HTTP/1.0\r\nX-Forwarded-Ssl: off\r\n\r\n", 200),
        ):
            answer = raw(up, request, port=port, tls=context)
            assert (answer.status, answer.headers.get_all("Strict-Transport-Security")) == (
                status,
                ["max-age=31536000"],
            )
        plain = ask(up, "GET", "/courses?limit=1", headers={"Host": "school.example"})
        assert (plain.status, plain.headers["Location"]) == (
            308,
            "https://school.example/courses?limit=1",
        )
        assert plain.headers["Strict-Transport-Security"] is None
        assert raw(up, b"nonsense\r\n\r\n").headers["Strict-Transport-Security"] is None
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        assert (
            raw(up, b"GET /courses HTTP/1.1\r\nHost: x\r\n\r\n", port=port, tls=context).status
            == 200
        )
        up.stop_gunicorn()
        away = raw(up, b"GET /courses HTTP/1.1\r\nHost: x\r\n\r\n", port=port, tls=context)
        assert (away.status, away.headers["Strict-Transport-Security"]) == (502, "max-age=31536000")
        up.start_gunicorn()
