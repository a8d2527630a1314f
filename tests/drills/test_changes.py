"""Reloading, stopping and upgrading under load."""

from __future__ import annotations

import shutil
import signal
import subprocess
import threading
import time
from contextlib import contextmanager

import pytest

from devtools.topology import BIN, ROOT, stop
from devtools.waiting import wait_until
from tests.drills import size
from tests.drills.storm import Storm
from tests.drills.unix_client import ask_socket

NEXT = """
import sqlalchemy as sa
from alembic import op

revision = "9000"
down_revision = "{head}"


def upgrade():
    op.create_table("rooms", sa.Column("id", sa.BigInteger(), primary_key=True))
    op.add_column("courses", sa.Column("room", sa.Text()))
    op.add_column("students", sa.Column("nickname", sa.Text(), nullable=False, server_default=""))
    op.create_index("ix_enrollment_events_at", "enrollment_events", ["at"])


def downgrade():
    op.drop_index("ix_enrollment_events_at", "enrollment_events")
    op.drop_column("students", "nickname")
    op.drop_column("courses", "room")
    op.drop_table("rooms")
"""


def test_a_reload(up, record_property):
    """Fails if a stopping worker does not wait for its connections: some responses are then 502."""
    with Storm(up, courses=size(20, 80)) as storm:
        for _ in range(size(1, 8)):
            storm.wait_for(100)
            up.reload()
        storm.wait_for(50)
    assert (storm.broken, storm.statuses()) == ([], set())
    record_property("answered", len(storm.final))
    record_property("refused or cut off", len(storm.refused))
    record_property("slowest", f"{storm.slowest:.1f} s")


def test_a_stop(up, record_property):
    """Accepted requests are answered. Later clients get a Retry-After. Fails if a worker does not
    wait: some connections then end without a response.
    """
    cut_off = up.nginx_errors.read_text().count("prematurely closed")
    with Storm(up, courses=size(20, 80)) as storm:
        for _ in range(size(1, 5)):
            storm.wait_for(100)
            up.stop_gunicorn()
            seen = len(storm.refused)
            wait_until(lambda seen=seen: len(storm.refused) > seen + 5)
            up.start_gunicorn()
            up.wait_until_ready()
        storm.wait_for(50)
    assert (storm.broken, storm.statuses()) == ([], {502})
    assert storm.replayed() == 0  # so none that was done had gone unanswered
    assert up.nginx_errors.read_text().count("prematurely closed") == cut_off
    assert all(int(answer.headers["Retry-After"]) > 0 for _, answer in storm.refused)
    record_property("answered", len(storm.final))
    record_property("told to come back", len(storm.refused))


@pytest.fixture
def new(up, tmp_path):
    """A release with one more migration in a folder of its own, beside the release that serves.
    Returns a function that runs its programs.
    """
    for name in ("course_management", "migrations"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("wsgi.py", "gunicorn.conf.py"):
        shutil.copy(ROOT / name, tmp_path)
    versions = tmp_path / "migrations" / "versions"
    head = max(path.name[:4] for path in versions.glob("*.py"))
    (versions / "9000_expand.py").write_text(NEXT.format(head=head))
    env = up.env | {"HOST": f"unix:{tmp_path / 'sock'}"}
    started = []

    def run(*args):
        with (tmp_path / "log").open("ab") as log:
            started.append(
                subprocess.Popen(
                    [BIN / args[0], *args[1:]], cwd=tmp_path, env=env, stdout=log, stderr=log
                )
            )
        return started[-1]

    run.socket = tmp_path / "sock"
    yield run
    for process in started:
        stop(process, signal.SIGTERM)


def ready(path):
    try:
        return ask_socket(path, "GET", "/health/ready").status == 200
    except OSError:
        return False


@contextmanager
def watched(path):
    """Whether the service was ready all the time."""
    found, done = [], threading.Event()

    def watch():
        while not done.wait(0.05):
            found.append(ready(path))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield found
    finally:
        done.set()
        watching.join()


def test_a_new_release_migrates_while_the_old_one_serves(up, new, record_property):
    """Fails with a migration that renames a column in use: the old release is then not ready."""
    with Storm(up, courses=size(60, 150)) as storm, watched(up.socket) as was_ready:
        storm.wait_for(100)
        began = time.monotonic()
        migrating = new("flask", "--app", "wsgi", "db", "upgrade").wait(60)
        took = time.monotonic() - began
        storm.wait_for(100)
        new("gunicorn", "wsgi:app")
        wait_until(lambda: ready(new.socket))
        student = ask_socket(new.socket, "POST", "/students", {"name": "New"}).json["id"]
        enroll = [
            ("POST", f"/students/{student}/enroll", {"course_ids": [course]})
            for course in storm.courses[-10:]
        ]
        told = {ask_socket(new.socket, *request).status for request in enroll}
        storm.wait_for(100)
        both_ready = ready(new.socket)
    assert (storm.broken, storm.statuses(), migrating) == ([], set(), 0)
    assert (set(was_ready), both_ready, told) == ({True}, True, {201})
    assert new("flask", "--app", "wsgi", "db", "downgrade").wait(60) == 0
    assert ready(up.socket)
    record_property("answered meanwhile", len(storm.final))
    record_property("refused", len(storm.refused))
    record_property("migrated in", f"{took:.1f} s")
    record_property("slowest", f"{storm.slowest:.1f} s")
