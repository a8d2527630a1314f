"""Stopping, starting and reloading under load: no request is lost, and what cannot be answered says when to come back."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import psycopg2
import pytest

from deploy import topology
from deploy.topology import ROOT, Topology
from tests.deploy.client import Load, ask, events, poll
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
    """With the old workers killed instead, some are 502s."""
    before, workers = students(up), set(up.worker_pids())
    with Load(up) as load:
        for _ in range(3):
            seen = len(load.answers)
            poll(lambda seen=seen: len(load.answers) > seen + 50)
            up.reload()
    assert (load.broken, load.statuses()) == ([], {200, 201})
    assert students(up) - before == load.made()
    assert not workers & set(up.worker_pids())


def test_ending_under_load_answers_all_that_was_begun(up):
    """No connection ends without an answer, and who was not answered 201 made no student. With the workers killed, some do."""
    before = students(up)
    with Load(up) as load:
        poll(lambda: len(load.answers) > 100)
        up.stop_gunicorn()
        poll(lambda: load.answers[-1].status == 502)
    assert load.broken == []
    assert load.statuses() == {200, 201, 502}
    assert students(up) - before == load.made()
    assert "prematurely closed" not in up.nginx_errors.read_text()  # so says nginx of a request that was read and not answered
    for answer in load.answers:
        if answer.status == 502:
            assert is_problem(answer, 502)
            assert int(answer.headers["Retry-After"]) > 0
    up.start_gunicorn()
    up.wait_until_ready()
    assert ask(up, "GET", "/courses").status == 200


def test_a_restart_with_the_socket_held_fails_no_request():
    """As systemd holds it. With `held=False`, the answers meanwhile are 502s."""
    with Topology(nginx=PLENTY, held=True) as up:
        before, master = students(up), up.gunicorn.pid
        with Load(up) as load:
            poll(lambda: len(load.answers) > 100)
            up.restart()
            seen = len(load.answers)
            poll(lambda: len(load.answers) > seen + 100)
        assert (load.broken, load.statuses()) == ([], {200, 201})
        assert students(up) - before == load.made()
        assert up.gunicorn.pid != master


def test_a_worker_that_is_killed_is_replaced_and_logged_as_json(up):
    (victim, *_) = workers = up.worker_pids()
    os.kill(victim, signal.SIGKILL)
    poll(lambda: len(up.worker_pids()) == len(workers) and victim not in up.worker_pids())
    poll(lambda: any(e["logger"] == "gunicorn.error" and str(victim) in e["event"] for e in events(up.gunicorn_log)))
    plain = [line for line in up.gunicorn_log.read_text().splitlines() if line and not line.startswith("{")]
    assert {re.split(" on |:", line)[0] for line in plain} == {
        "Course Management listens",
        "AUTH=open",
    }  # for whoever started it by hand


def test_the_database_going_and_coming_back(up):
    up.postgres.stop()
    away = ask(up, "GET", "/courses")
    assert (away.status, away.json["type"], away.headers["Retry-After"]) == (503, "/problems/service-unavailable", "2")
    up.postgres.start()
    poll(lambda: ask(up, "POST", "/students", {"name": "Ada"}).status == 201)


@pytest.fixture
def short():
    """A folder whose path leaves room for the name of a unix socket, which has 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="up-") as folder:
        yield Path(folder)


def test_make_up_says_where_it_is_and_leaves_nothing_behind(short):
    env = {**os.environ, "TMPDIR": str(short)}
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "deploy.topology"],
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    said = process.stdout.readline()
    address = said.split()[2]
    with urllib.request.urlopen(address + "/health") as answer:
        assert answer.status == 200
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert list(short.iterdir()) == []


def test_without_nginx_it_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setattr(topology.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(topology.shutil, "which", lambda *args, **options: None)
    with pytest.raises(SystemExit, match="nginx is not installed: apt-get install nginx-light"), Topology():
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_topology_is_that_of_the_container():
    """One file for both: what compose.yaml mounts is what is tested here, and nothing in it stays open."""
    compose = (ROOT / "compose.yaml").read_text()
    assert "./deploy/nginx.conf:/etc/nginx/templates/default.conf.template:ro" in compose
    names = topology.read_env(Path(ROOT / "deploy" / "nginx.env"))
    text = (ROOT / "deploy" / "nginx.conf").read_text()
    assert {name for name in names if f"${{{name}}}" in text} == names.keys()
    assert "${" not in topology.Template(text.split("\n", 3)[3]).safe_substitute(names)
