"""`make run` as its users see it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest

from devtools.postgres import free_port
from devtools.waiting import wait_until

ROOT = Path(__file__).parent.parent


def make_run(**env):
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG")}
    return subprocess.Popen(
        ["make", "--no-print-directory", "run"],
        cwd=ROOT,
        env={**kept, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def stop(process):
    os.killpg(process.pid, signal.SIGTERM)
    return process.communicate(timeout=30)


def is_up(process, port):
    """Whether the service responds. An assertion fails if its process has ended."""
    assert process.poll() is None
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health") as answer:
            return answer.status == 200
    except OSError:
        return False


def test_make_run_starts_and_prints_its_address(tmp_path):
    port = str(free_port())
    database = f"sqlite:///{tmp_path / 'new' / 'school.db'}"
    process = make_run(PORT=port, DATABASE_URL=database)
    try:
        wait_until(lambda: is_up(process, port))
    finally:
        out, err = stop(process)
    assert f"http://127.0.0.1:{port} (docs: http://127.0.0.1:{port}/docs)" in err
    assert (
        "AUTH is not set: everybody on this machine may do everything, through loopback names only."
        in err
    )
    assert '"route":"/health"' in out
    assert "Traceback" not in out + err


def processes_with(text):
    """The ids of the processes whose environment has this text."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if text.encode() in path.read_bytes():
                found.append(int(path.parent.name))
    return found


@pytest.mark.parametrize("to_group", [True, False], ids=["Ctrl-C", "kill of make"])
def test_no_process_stays_behind(tmp_path, to_group):
    """`make run` also runs `flask tick`, which ends with the server."""
    port = str(free_port())
    database = f"sqlite:///{tmp_path / 'school.db'}"
    process = make_run(PORT=port, DATABASE_URL=database)
    try:
        wait_until(lambda: is_up(process, port))
        commands = [
            Path(f"/proc/{one}/cmdline").read_bytes().split(b"\0")
            for one in processes_with(str(tmp_path))
        ]
        assert any(b"tick" in command for command in commands)
        if to_group:
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.send_signal(signal.SIGTERM)
        wait_until(lambda: processes_with(str(tmp_path)) == [])
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=30)


def test_a_port_in_use_is_reported_in_one_line(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = make_run(PORT=str(port), DATABASE_URL=f"sqlite:///{tmp_path / 'school.db'}")
        _, err = process.communicate(timeout=30)
    assert process.returncode != 0
    said = [line for line in err.splitlines() if not line.startswith("make")]
    assert said == [
        f"Cannot listen on 127.0.0.1:{port}: Address already in use. Set HOST or PORT to "
        "another address."
    ]


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        (
            {"DATABASE_URL": "postgresql://u:hush@127.0.0.1:1/none"},
            "The database postgresql+psycopg2://u:***@127.0.0.1:1/none cannot be used",
        ),
        ({"PORT": "many"}, "PORT must be a whole number from 1 to 65535, not 'many'."),
    ],
)
def test_invalid_settings_are_reported_in_one_line(setting, says):
    process = make_run(**setting)
    _, err = process.communicate(timeout=30)
    assert process.returncode != 0
    (said,) = [line for line in err.splitlines() if not line.startswith("make")]
    assert says in said
    assert "hush" not in err


def test_it_listens_to_other_machines_only_if_auth_is_set(tmp_path):
    database = {"DATABASE_URL": f"sqlite:///{tmp_path / 'school.db'}", "PORT": str(free_port())}
    process = make_run(HOST="0.0.0.0", **database)
    _, err = process.communicate(timeout=30)
    assert process.returncode != 0
    (said,) = [line for line in err.splitlines() if not line.startswith("make")]
    assert said.startswith("AUTH must be set to listen on 0.0.0.0: AUTH=required")
    # Also if the address does not come from the settings.
    gunicorn = [str(Path(sys.executable).parent / "gunicorn"), "wsgi:app", "--bind"]
    for bind in ("0.0.0.0:0", f"unix:{tmp_path / 'sock'}"):
        done = subprocess.run(
            [*gunicorn, bind],
            cwd=ROOT,
            env=os.environ | database,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode != 0
        assert "AUTH must be set to listen on" in done.stderr
        assert "Traceback" not in done.stderr


def test_an_older_python_is_refused_with_a_sentence(tmp_path):
    old = tmp_path / "python3.9"
    old.write_text(
        f'#!/bin/sh\nexec {sys.executable} -c "import sys; sys.version_info = (3, 9, 2); '
        'exec(sys.argv[1])" "$2"\n'
    )
    old.chmod(0o755)
    clone = tmp_path / "clone"
    clone.mkdir()
    for name in ("Makefile", "requirements.txt"):
        (clone / name).write_text((ROOT / name).read_text())
    done = subprocess.run(
        ["make", "run", f"PYTHON={old}"], cwd=clone, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "Course Management needs Python 3.11 or newer; this is 3.9." in done.stderr
    assert not (clone / ".venv").exists()
