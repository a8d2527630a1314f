"""The containers: their rights, their images, and the database role of the service, created as the
image creates it.
"""

from __future__ import annotations

import os
import re
import subprocess

import psycopg2
import pytest
import yaml

from deploy import pin
from devtools.postgres import Server
from devtools.topology import ROOT, Topology
from tests.deploy.client import ask

COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A PostgreSQL that has run deploy/database.sql, with the password `it's "x"`."""
    secret = tmp_path_factory.mktemp("secrets") / "service_password"
    secret.write_text('it\'s "x"\n')
    server = Server()
    command = [
        server.bin / "psql",
        "-v",
        "ON_ERROR_STOP=1",
        "--no-psqlrc",
        server.url,
        "-f",
        ROOT / "deploy" / "database.sql",
    ]
    subprocess.run(
        command,
        env={**os.environ, "SERVICE_PASSWORD_FILE": str(secret)},
        check=True,
        capture_output=True,
    )
    hba = server.home / "data" / "pg_hba.conf"
    hba.write_text(
        "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
    )
    sql(server.url, "SELECT pg_reload_conf()")
    yield server
    server.remove()


def sql(url, statement):
    connection = psycopg2.connect(url)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else None
    finally:
        connection.close()


def as_service(server, password="it%27s%20%22x%22", database="course_management"):
    return f"postgresql://course_management:{password}@127.0.0.1:{server.port}/{database}"


def test_the_service_runs_with_a_role_that_is_not_a_superuser(server):
    rights = "rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls"
    assert sql(
        server.url, f"SELECT {rights} FROM pg_roles WHERE rolname = 'course_management'"
    ) == [(False,) * 5]
    with Topology({"DATABASE_URL": as_service(server)}) as up:
        assert ask(up, "POST", "/students", {"name": "Ada"}).status == 201
        assert "FAIL" not in up.flask("check")
    assert sql(
        as_service(server),
        "SELECT pg_encoding_to_char(encoding), datcollate FROM pg_database WHERE datname = "
        "current_database()",
    ) == [("UTF8", "C.UTF-8")]


@pytest.mark.parametrize(
    "forbidden",
    [
        "CREATE ROLE intruder",
        "CREATE DATABASE other",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "SELECT pg_read_file('/etc/passwd')",
    ]
    + ["ALTER SYSTEM SET fsync = off", "SET session_replication_role = replica"],
)
def test_the_role_may_not(server, forbidden):
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        sql(as_service(server), forbidden)


def test_the_role_needs_its_password(server):
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        sql(as_service(server, password="x"), "SELECT 1")


def test_another_role_may_not_connect_to_its_database(server):
    sql(server.url, "CREATE ROLE other LOGIN PASSWORD 'x'")
    other = as_service(server, password="x").replace("course_management:", "other:")
    assert sql(other.replace("/course_management", "/postgres"), "SELECT 1") == [(1,)]
    with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
        sql(other, "SELECT 1")


def test_the_image_runs_the_file_that_is_tested_here():
    """The image runs the files of this folder when its volume is empty."""
    mounted = "./deploy/database.sql:/docker-entrypoint-initdb.d/database.sql:ro"
    assert mounted in SERVICES["postgres"]["volumes"]


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_has_least_privilege(name):
    service = SERVICES[name]
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "/tmp" in service["tmpfs"]
    assert "cap_add" not in service and "privileged" not in service
    users = re.findall("^USER (.*)$", (ROOT / "Dockerfile").read_text(), flags=re.M)
    user = service.get("user", users[-1] if "build" in service and users else "root")
    assert re.fullmatch("[1-9][0-9]*(:[1-9][0-9]*)?", user)


def test_only_nginx_is_published_and_only_on_this_host():
    assert {name: service["ports"] for name, service in SERVICES.items() if "ports" in service} == {
        "nginx": ["${ADDRESS:-127.0.0.1}:${PORT:-8080}:8080"]
    }


def test_each_container_gets_only_its_own_secrets():
    assert {name: service.get("secrets", []) for name, service in SERVICES.items()} == {
        "postgres": ["postgres_password", "service_password"],
        "migrate": ["database_url"],
        "api": ["database_url"],
        "nginx": [],
    }
    assert "POSTGRES_USER" not in SERVICES["postgres"]["environment"]


def test_images_and_actions_have_exact_versions():
    images = re.findall(
        r"^(?:FROM|\s+image:) +(\S+:\S+)",
        (ROOT / "compose.yaml").read_text() + (ROOT / "Dockerfile").read_text(),
        re.M,
    )
    assert len(images) == 4
    for image in images:
        assert re.fullmatch(
            r"[a-z]+:(\d+\.\d+\.\d+|18\.\d+)(-[a-z-]+)?(@sha256:[0-9a-f]{64})?", image
        )  # PostgreSQL has two numbers
    uses = re.findall(r"uses: (.*)", (ROOT / ".github" / "workflows" / "ci.yml").read_text())
    assert uses
    for use in uses:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", use)


def test_pin_writes_the_current_digests_and_nothing_else(tmp_path, monkeypatch):
    for name in ("compose.yaml", "Dockerfile"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    monkeypatch.setattr(pin, "ROOT", tmp_path)
    asked = []
    for found in ("sha256:" + "a" * 64, DIGEST):
        pin.main(lambda image, found=found: asked.append(image) or found)
    for name in ("compose.yaml", "Dockerfile"):
        before, after = ((folder / name).read_text() for folder in (ROOT, tmp_path))
        assert re.sub("@sha256:[0-9a-f]{64}", "", after) == re.sub(
            "@sha256:[0-9a-f]{64}", "", before
        )
        assert after.count("@" + DIGEST) == after.count("@sha256:") == 2
    assert "image: course-management\n" in (tmp_path / "compose.yaml").read_text()
    assert all("@" not in image for image in asked)


def test_pin_changes_nothing_if_a_registry_does_not_answer(monkeypatch, tmp_path):
    (tmp_path / "docker").write_text("#!/bin/sh\necho 'no such host' >&2\nexit 1\n")
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    names = ("compose.yaml", "Dockerfile")
    for name in names:
        (tmp_path / name).write_text((ROOT / name).read_text())
    monkeypatch.setattr(pin, "ROOT", tmp_path)
    with pytest.raises(SystemExit, match=r"Cannot read the digest of .*: no such host"):
        pin.main()
    for name in names:
        assert (tmp_path / name).read_text() == (ROOT / name).read_text()


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_requirement_has_its_hashes(name):
    text = (ROOT / name).read_text()
    packages = re.findall(r"^[a-z0-9][\w.-]*==.*", text, flags=re.MULTILINE)
    assert packages and all(package.endswith("\\") for package in packages)
    wanted = re.findall(
        r"^([\w-]+==[\w.]+)", (ROOT / name.replace(".txt", ".in")).read_text(), flags=re.MULTILINE
    )
    # `make lock` was not forgotten
    assert {package.split()[0] for package in packages} >= set(wanted)


def test_requirements_are_installed_by_hash_everywhere():
    text = "".join((ROOT / name).read_text() for name in ("Makefile", "Dockerfile"))
    installs = re.findall(r"^.*pip install.* -r .*$", text, flags=re.MULTILINE)
    assert len(installs) == 3
    assert [line for line in installs if " --require-hashes " not in line] == []


def test_runtime_and_tests_have_the_same_package_versions():
    """Both requirements files have the same version of each package."""
    runs, tests = (
        set(re.findall(r"^[a-z0-9][\w.-]*==[\w.]+", (ROOT / name).read_text(), flags=re.MULTILINE))
        for name in ("requirements.txt", "requirements-dev.txt")
    )
    assert runs <= tests
