"""Settings: defaults, forms of DATABASE_URL, and one clear line for each invalid value."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from course_management import config
from course_management.config import BadSetting, Config
from devtools.stock import STOCK_SETTINGS


def test_the_default_database_is_sqlite_in_the_instance_folder():
    settings = Config.from_env({})
    assert settings.database_url.render_as_string().endswith("/instance/course_management.db")
    assert (settings.host, settings.port, settings.threads) == ("127.0.0.1", 8000, 4)
    assert 2 <= settings.workers <= 16


def test_an_empty_setting_counts_as_not_set():
    assert Config.from_env(
        {"PORT": "", "DATABASE_URL": "  ", "COURSE_LEVELS": ""}
    ) == Config.from_env({})


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_every_form_of_a_postgresql_address_means_psycopg2(scheme):
    url = Config.from_env({"DATABASE_URL": f"{scheme}://u:p@db.example/school"}).database_url
    assert (
        url.render_as_string(hide_password=False) == "postgresql+psycopg2://u:p@db.example/school"
    )


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("PORT", "http", "PORT must be a whole number from 1 to 65535"),
        ("PORT", "0", "PORT must be"),
        ("PORT", "99999999999", "PORT must be"),
        ("THREADS", "-1", "THREADS must be"),
        ("SLOW_REQUEST_MS", "1s", "SLOW_REQUEST_MS must be a whole number from 0"),
        ("HOST", "unix:relative", "HOST must be an address, or unix: and an absolute path"),
        (
            "HOST",
            "unix:/" + "a" * 107,
            "HOST must be an address, or unix: and an absolute path of at most 107 bytes",
        ),
        ("KEEPALIVE", "0", "KEEPALIVE must be a whole number from 1 to 3600"),
        ("GRACEFUL_TIMEOUT", "soon", "GRACEFUL_TIMEOUT must be"),
        ("PROXY", "nginx", "PROXY must be one of on, off, not 'nginx'"),
        ("LOG_LEVEL", "loud", "LOG_LEVEL must be one of DEBUG, INFO"),
        ("AUTH", "Requierd", "AUTH must be one of open, required, not 'Requierd'"),
        ("AUTH", "maybe", "AUTH must be one of open, required, not 'maybe'"),
        (
            "HOST",
            "0.0.0.0",
            "AUTH must be set to listen on 0.0.0.0: AUTH=required .*, or AUTH=open",
        ),
        (
            "HOST",
            "unix:/run/course-management.sock",
            "AUTH must be set to listen on unix:/run/course-management.sock",
        ),
        ("HOST", "::", "AUTH must be set"),
        ("HOST", "school.example", "AUTH must be set"),
        ("WORKER", "sync", "WORKER must be one of epoll, gthread, not 'sync'"),
        ("BATCHING", "yes", "BATCHING must be one of on, off"),
        ("PREPARE", "yes", "PREPARE must be one of on, off"),
        ("FLASK", "quart", "FLASK must be one of lean, stock"),
        ("CORS_ORIGINS", "*", "CORS_ORIGINS must be origins such as https://app.example.edu"),
        ("CORS_ORIGINS", "https://a.example, https://b.example/", "CORS_ORIGINS must be origins"),
        (
            "OIDC_ISSUER",
            "http://id.example.edu",
            "OIDC_ISSUER must be an address that begins with https://",
        ),
        (
            "OIDC_ISSUER",
            "http://localhost.evil.example",
            "OIDC_ISSUER must be an address that begins with https://",
        ),
        ("OIDC_ISSUER", "https://id.example.edu", "OIDC_AUDIENCE must be set with OIDC_ISSUER"),
        (
            "DATABASE_URL_FILE",
            "/nowhere/secret",
            "DATABASE_URL_FILE names /nowhere/secret, which cannot be read: No such file",
        ),
        (
            "COURSE_LEVELS",
            "senior, Q" + "\u0300" * 31,
            "COURSE_LEVELS contains a level .* more than 30 combining marks in a row: remove",
        ),
        (
            "COURSE_LEVELS",
            "senior, " + "a" * 1025,
            "COURSE_LEVELS contains a level that no course can have",
        ),
        ("GRADES", "A,B,C", "GRADES must be the passing grades from best to worst, a bar, and"),
        ("GRADES", "|F", "GRADES must be the passing grades"),
        ("GRADES", "A,,B|F", "GRADES must be the passing grades"),
        ("GRADES", "A|B|C", "GRADES must be the passing grades"),
        ("GRADES", "A,B|F,A", "GRADES names 'A' twice"),
        ("GRADES", "A|F,", "GRADES contains '': a grade must have 1 to 10 visible characters"),
        ("GRADES", "A,sehr gut bis|F", "GRADES contains 'sehr gut bis': a grade must have 1 to 10"),
        ("GRADES", "A\x07|F", "GRADES contains 'A.x07': a grade must have"),
        ("GRADES", "A" * 2000 + "|F", "GRADES must be the passing grades|GRADES Must have at most"),
        ("DATABASE_URL", "school.db", "DATABASE_URL is not an address"),
        ("DATABASE_URL", "postgresql://u@h:port/d", "DATABASE_URL is not an address"),
        ("DATABASE_URL", "sqlite+aiosqlite:////x.db", "DATABASE_URL must be postgresql"),
        ("DATABASE_URL", "mysql://h/d", "DATABASE_URL must be postgresql"),
        ("DATABASE_URL", "sqlite://", "DATABASE_URL must be postgresql"),
        ("DATABASE_URL", "sqlite:///:memory:", "DATABASE_URL must be postgresql"),
    ],
)
def test_an_invalid_setting_ends_with_one_line(name, value, says):
    with pytest.raises(BadSetting, match=says) as caught:
        Config.from_env({name: value})
    assert "\n" not in str(caught.value)


OIDC = {"OIDC_ISSUER": "https://id.example.edu", "OIDC_AUDIENCE": "courses"}


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        (
            "OIDC_ALGORITHMS",
            "RS256, HS256",
            "OIDC_ALGORITHMS must be some of RS256, .* not 'RS256,HS256'",
        ),
        ("OIDC_ALGORITHMS", "none", "OIDC_ALGORITHMS must be some of"),
        ("OIDC_SCOPES", "registrar", "OIDC_SCOPES must be pairs such as registrar=students:write"),
        ("OIDC_SCOPES", "registrar=courses:delete", "OIDC_SCOPES must be pairs"),
        ("OIDC_STUDENT", "email", "OIDC_STUDENT must be id, external_id or email, then ="),
        ("OIDC_STUDENT", "name=nickname", "OIDC_STUDENT must be id, external_id or email, then ="),
        (
            "OIDC_STUDENT",
            "email=preferred_username",
            "OIDC_STUDENT must be email=email, .* set external_id=preferred_username",
        ),
        (
            "OIDC_STUDENT",
            "email=profile.email",
            "OIDC_STUDENT must be email=email, because email_verified describes only that claim",
        ),
    ],
)
def test_invalid_provider_settings_end_with_one_line(name, value, says):
    with pytest.raises(BadSetting, match=says) as caught:
        Config.from_env({**OIDC, name: value})
    assert "\n" not in str(caught.value)


def test_the_settings_of_a_provider():
    words = {
        "OIDC_SCOPES": "registrar=students:write+enrollments:write, head=admin",
        "OIDC_STUDENT": "external_id=number",
    }
    oidc = Config.from_env({**OIDC, **words}).oidc
    assert oidc.scopes == (
        ("registrar", ("students:write", "enrollments:write")),
        ("head", ("admin",)),
    )
    assert (oidc.algorithms, oidc.scopes_claim, oidc.student) == (
        ("RS256",),
        "scope",
        ("external_id", "number"),
    )
    assert Config.from_env({}).oidc is None


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "[::1]", "localhost"])
def test_without_auth_the_service_starts_on_loopback_addresses_only(host):
    assert Config.from_env({"HOST": host}).auth == ""
    for said in ("open", "required", "Required"):
        for address in (host, "0.0.0.0", "unix:/run/x.sock"):
            assert Config.from_env({"HOST": address, "AUTH": said}).auth == said.lower()


def test_a_setting_is_read_from_a_file(tmp_path):
    (tmp_path / "url").write_text("postgresql://u:hush@db.example/school\n")
    (tmp_path / "port").write_text("9003\n")
    settings = Config.from_env(
        {"DATABASE_URL_FILE": str(tmp_path / "url"), "PORT_FILE": str(tmp_path / "port")}
    )
    assert (settings.database_url.password, settings.port) == ("hush", 9003)
    with pytest.raises(BadSetting, match="PORT and PORT_FILE are both set: unset one of them"):
        Config.from_env({"PORT": "9004", "PORT_FILE": str(tmp_path / "port")})


def test_course_levels_are_separated_by_commas():
    assert Config.from_env({"COURSE_LEVELS": " freshman, senior ,,"}).course_levels == (
        "freshman",
        "senior",
    )


def test_grades_are_listed_from_best_to_worst():
    grades = Config.from_env({}).grades
    assert grades.order[:3] == ("A+", "A", "A-")
    assert grades.order[grades.passing - 1 : grades.passing + 1] == ("CR", "F")
    given = Config.from_env({"GRADES": " 1, 2,3 ,4 | 5 "}).grades
    assert (given.order, given.passing) == (("1", "2", "3", "4", "5"), 4)
    assert Config.from_env({"GRADES": "pass|"}).grades.order == ("pass",)


def test_the_documented_grades_are_the_default():
    root = Path(config.__file__).parent.parent
    grades = Config.from_env({}).grades
    passing, others = (
        ",".join(part) for part in (grades.order[: grades.passing], grades.order[grades.passing :])
    )
    for document in (".env.example", "docs/settings.md"):
        text = (root / document).read_text()
        assert f"{passing}|{others}" in text or (f"`{passing}`" in text and f"`{others}`" in text)


def test_the_environment_overrides_the_env_file(monkeypatch, tmp_path):
    (tmp_path / ".env").write_text("PORT=9001\nTHREADS=3\nHOST=\n")
    monkeypatch.setattr(config, "ROOT", tmp_path)
    monkeypatch.setenv("PORT", "9002")
    monkeypatch.setenv("THREADS", "")
    settings = Config.from_env()
    assert (settings.port, settings.threads, settings.host) == (9002, 3, "127.0.0.1")


def test_the_example_lists_every_setting_that_is_read():
    root = Path(config.__file__).parent.parent
    read = set(re.findall(r'"([A-Z_]{4,})"', Path(config.__file__).read_text())) - {
        "DEBUG",
        "INFO",
        "WARNING",
        "ERROR",
        "OPEN",
        "REQUIRED",
    }
    listed = set(
        re.findall("^([A-Z_]+)=$", (root / ".env.example").read_text(), flags=re.MULTILINE)
    )
    assert listed == read


def test_any_setting_may_come_from_a_file(tmp_path):
    (tmp_path / "url").write_text("postgresql://u:hush@h/d\n")
    settings = Config.from_env({"DATABASE_URL_FILE": str(tmp_path / "url"), "PORT_FILE": ""})
    assert settings.database_url.password == "hush"
    (tmp_path / "port").write_text("9001")
    assert Config.from_env({"PORT_FILE": str(tmp_path / "port")}).port == 9001


@pytest.mark.parametrize(
    ("content", "both", "says"),
    [
        (
            None,
            False,
            r"PORT_FILE names .*, which cannot be read: No such file or directory\. Name a file "
            r"that contains the value\.",
        ),
        (b"\xff", False, r"PORT_FILE names .*, which cannot be read: it is not a text file\."),
        (b"9001", True, r"PORT and PORT_FILE are both set: unset one of them\."),
    ],
)
def test_an_unreadable_setting_file_ends_with_one_line(tmp_path, content, both, says):
    if content is not None:
        (tmp_path / "port").write_bytes(content)
    with pytest.raises(BadSetting, match=says):
        Config.from_env({"PORT_FILE": str(tmp_path / "port")} | ({"PORT": "9000"} if both else {}))


def test_the_fast_parts_are_on_unless_they_are_turned_off():
    default, stock = Config.from_env({}), Config.from_env(STOCK_SETTINGS)
    assert (default.worker, default.batching, default.prepare, default.flask) == (
        "epoll",
        True,
        True,
        "lean",
    )
    assert (stock.worker, stock.batching, stock.prepare, stock.flask) == (
        "gthread",
        False,
        False,
        "stock",
    )


def test_a_proxy_is_trusted_by_default_only_on_a_unix_socket():
    assert not Config.from_env({}).proxy
    assert Config.from_env({"AUTH": "open", "HOST": "unix:/run/x"}).proxy
    assert not Config.from_env({"AUTH": "open", "HOST": "unix:/run/x", "PROXY": "off"}).proxy
    assert Config.from_env({"AUTH": "open", "HOST": "10.0.0.1", "PROXY": "on"}).proxy
