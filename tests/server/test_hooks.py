"""The start of the service: the address on which it listens, and the messages it prints."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import time
from pathlib import Path

import pytest

from devtools.gunicorn import Gunicorn
from devtools.postgres import free_port
from devtools.topology import BIN, ROOT
from devtools.waiting import wait_until
from tests.deploy.client import events


@pytest.fixture
def start(tmp_path):
    """Starts gunicorn with settings. Its output goes to `tmp_path / "log"`."""
    started = []

    def start(**settings):
        env = {
            **os.environ,
            "DATABASE_URL": f"sqlite:///{tmp_path / 'a.db'}",
            "WEB_CONCURRENCY": "1",
            "AUTH": "open",
            **settings,
        }
        with (tmp_path / "log").open("ab") as log:
            started.append(
                subprocess.Popen(
                    [BIN / "gunicorn", "wsgi:app"], cwd=ROOT, env=env, stdout=log, stderr=log
                )
            )
        return started[-1]

    yield start
    for process in started:
        process.terminate()
        process.wait(30)


def answers(path):
    """Whether the service responds on a unix socket."""
    with socket.socket(socket.AF_UNIX) as wire:
        if wire.connect_ex(str(path)):
            return False
        wire.settimeout(30)
        wire.sendall(b"GET /health/live HTTP/1.0\r\n\r\n")
        return b" 200 " in wire.recv(20)


def test_it_listens_on_a_unix_socket_for_its_group(start, tmp_path):
    path = tmp_path / "s"
    start(HOST=f"unix:{path}")
    wait_until(lambda: answers(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o770
    assert f"Course Management listens on unix:{path}. Stop it" in (tmp_path / "log").read_text()


def test_an_unused_socket_is_replaced_and_a_used_one_is_not(start, tmp_path):
    """Without the check in `on_starting`, the second takes the socket away from the first."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    start(HOST=f"unix:{path}")
    wait_until(lambda: answers(path))
    said = len((tmp_path / "log").read_text())
    second = start(HOST=f"unix:{path}")
    assert second.wait(30) != 0
    assert (tmp_path / "log").read_text()[said:].splitlines() == [
        f"Cannot listen on unix:{path}: Address already in use. Set HOST or PORT to another "
        "address."
    ]
    assert answers(path)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("none/s", "{}/none is not a folder to which this process can write"),
        ("file", "a file with this name exists"),
    ],
)
def test_a_socket_that_cannot_be_created_is_reported_in_one_line(start, tmp_path, name, says):
    (tmp_path / "file").touch()
    assert start(HOST=f"unix:{tmp_path / name}").wait(30) != 0
    (line,) = (tmp_path / "log").read_text().splitlines()
    assert (
        line
        == f"Cannot listen on unix:{tmp_path / name}: {says.format(tmp_path)}. Set HOST or PORT "
        "to another address."
    )


@pytest.mark.parametrize(("threads", "warned"), [(4, False), (256, True)])
def test_more_threads_than_connections_are_logged_at_the_start(
    new_database, tmp_path, threads, warned
):
    env = {
        "DATABASE_URL": new_database("postgresql"),
        "WEB_CONCURRENCY": "1",
        "THREADS": str(threads),
    }
    with Gunicorn(env, tmp_path / "log"):
        pass
    warnings = [
        line for line in events(tmp_path / "log") if line["event"] == "too few database connections"
    ]
    assert [(line["level"], line["wanted"], line["available"] < 256) for line in warnings] == [
        ("warning", 256, True)
    ] * warned


def test_it_starts_while_the_database_is_down(tmp_path):
    began = time.monotonic()
    with Gunicorn(
        {"DATABASE_URL": f"postgresql://u@127.0.0.1:{free_port()}/none"}, tmp_path / "log"
    ) as server:
        assert server.request("GET", "/health/ready").status == 503
    assert time.monotonic() - began < 20


def test_a_worker_told_to_stop_before_it_listens_stops(tmp_path):
    """Without `post_fork` it goes on until it is killed, GRACEFUL_TIMEOUT
    seconds later.
    """
    slow = (
        "import pathlib, time\nof_ours = post_fork\ndef post_fork(server, worker):\n    "
        "of_ours(server, worker)\n"
    )
    slow += f"    pathlib.Path({str(tmp_path / 'forked')!r}).touch()\n    time.sleep(2)\n"
    (tmp_path / "conf.py").write_text((ROOT / "gunicorn.conf.py").read_text() + slow)
    env = {
        **os.environ,
        "DATABASE_URL": f"sqlite:///{tmp_path / 'a.db'}",
        "WEB_CONCURRENCY": "1",
        "PORT": str(free_port()),
    }
    process = subprocess.Popen(
        [BIN / "gunicorn", "-c", tmp_path / "conf.py", "wsgi:app"], cwd=ROOT, env=env
    )
    wait_until((tmp_path / "forked").exists)
    process.terminate()
    assert process.wait(20) == 0


def test_an_invalid_setting_is_found_before_a_reload(tmp_path):
    """ExecReload of the systemd unit runs this check first, because an invalid setting would end
    gunicorn.
    """
    unit = (ROOT / "deploy" / "systemd" / "course-management.service").read_text()
    assert "gunicorn --check-config wsgi:app\nExecReload=/bin/kill -HUP $MAINPID" in unit
    for settings, code in (({}, 0), ({"THREADS": "x"}, 1)):
        env = {**os.environ, "DATABASE_URL": f"sqlite:///{tmp_path / 'a.db'}", **settings}
        program = [BIN / "gunicorn", "--check-config", "wsgi:app"]
        assert (
            subprocess.run(program, cwd=ROOT, env=env, check=False, capture_output=True).returncode
            == code
        )


def test_the_image_is_healthy_if_the_service_responds(start, tmp_path):
    """Runs the HEALTHCHECK of the Dockerfile on another socket."""
    text = (ROOT / "Dockerfile").read_text()
    command = text.split('CMD ["python", "-c", "')[1].split('"]')[0].replace("\\\\", "\\")
    command = command.replace("/run/course-management/gunicorn.sock", str(tmp_path / "s"))

    def healthy():
        return (
            subprocess.run(
                [BIN / "python", "-c", command], check=False, capture_output=True
            ).returncode
            == 0
        )

    assert not healthy()
    start(HOST=f"unix:{tmp_path / 's'}")
    wait_until(lambda: answers(tmp_path / "s"))
    assert healthy()


def test_the_image_has_all_that_the_service_needs(tmp_path):
    """The service starts in a folder with only the files that the Dockerfile copies."""
    copied = [
        line.split()[1:-1]
        for line in (ROOT / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY ")
    ]
    for name in [
        name
        for names in copied
        for name in names
        if not name.startswith("-") and (ROOT / name).exists()
    ]:
        target = tmp_path / "srv" / Path(name).name
        target.parent.mkdir(exist_ok=True)
        subprocess.run(["cp", "-r", ROOT / name, target], check=True)
    env = {**os.environ, "DATABASE_URL": f"sqlite:///{tmp_path / 'a.db'}"}
    for command in (
        ["flask", "--app", "wsgi", "db", "upgrade"],
        ["flask", "--app", "wsgi", "check"],
    ):
        subprocess.run(
            [BIN / command[0], *command[1:]],
            cwd=tmp_path / "srv",
            env=env,
            check=True,
            capture_output=True,
        )


@pytest.mark.parametrize("worker_class", [[], ["-k", "gthread"]], ids=["ours", "gthread"])
def test_a_certificate_is_refused_in_one_line(tmp_path, worker_class):
    """Our worker does not support TLS: a TLS socket has no MSG_PEEK, so the first idle connection
    would end it.
    """
    env = {**os.environ, "DATABASE_URL": f"sqlite:///{tmp_path / 'a.db'}", "PORT": str(free_port())}
    program = [
        BIN / "gunicorn",
        "--certfile",
        "cert.pem",
        "--keyfile",
        "key.pem",
        *worker_class,
        "wsgi:app",
    ]
    done = subprocess.run(
        program, cwd=ROOT, env=env, check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode != 0
    assert (done.stdout + done.stderr).splitlines() == [
        "nginx handles TLS (deploy/nginx-tls.conf): start gunicorn without --certfile and "
        "--keyfile."
    ]
