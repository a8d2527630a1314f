"""systemd's own checks of the systemd units."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from devtools.topology import BIN, ROOT

UNITS = ROOT / "deploy" / "systemd"
SERVICES = (
    "course-management.service",
    "course-management-migrate.service",
    "course-management-task@audit.service",
)


@pytest.fixture
def units(tmp_path):
    """The units, with the paths of programs that exist on this machine."""
    shutil.copytree(UNITS, tmp_path / "units", symlinks=True)
    for path in (tmp_path / "units").glob("*.service"):
        path.write_text(
            path.read_text().replace("/opt/course-management/current/.venv/bin", str(BIN))
        )
    return tmp_path / "units"


def systemd_analyze(*args):
    return subprocess.run(
        ["systemd-analyze", *map(str, args)], capture_output=True, text=True, check=False
    )


@pytest.mark.debian
def test_systemd_accepts_the_units(units):
    """systemd prints a line for an unknown key, a wrong value or a missing program."""
    names = [
        *SERVICES,
        "course-management.socket",
        "course-management-audit.timer",
        "course-management-forget-keys.timer",
        "course-management-tick.timer",
    ]
    done = systemd_analyze("verify", *(units / name for name in names))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.debian
@pytest.mark.parametrize("service", SERVICES)
def test_every_program_is_confined(units, service):
    """Fails without the link in course-management-.service.d: all units except the first then get
    the exposure 9.6.
    """
    done = systemd_analyze("security", "--offline=true", units / service)
    exposure = re.search(r"Overall exposure level for .*: ([\d.]+)", done.stdout)
    assert exposure
    assert float(exposure[1]) < 2


def test_the_commands_of_the_timers_exist():
    for timer in UNITS.glob("*.timer"):
        command = re.search(r"Unit=course-management-task@(.*)\.service", timer.read_text())
        assert command
        done = subprocess.run(
            [BIN / "flask", "--app", "wsgi", command[1], "--help"],
            cwd=ROOT,
            check=False,
            capture_output=True,
        )
        assert done.returncode == 0


def test_a_reload_checks_the_settings_without_the_credentials(tmp_path):
    """systemd before 257 does not give credentials to ExecReload of a confined unit. Fails if
    DATABASE_URL_FILE stays set: every reload then fails.
    """
    unit = (UNITS / "course-management.service").read_text()
    line = re.search(r"^ExecReload=(.*--check-config.*)$", unit, flags=re.M)
    assert line
    command = line[1].replace("/opt/course-management/current/.venv/bin", str(BIN)).split()
    env = {
        "HOST": "unix:/run/course-management/gunicorn.sock",
        "AUTH": "required",
        "DATABASE_URL_FILE": str(tmp_path / "none"),
    }
    for settings, code, says in (
        ({}, 0, ""),
        ({"THREADS": "lots"}, 1, "THREADS must be a whole number from 1 to 256, not 'lots'.\n"),
    ):
        done = subprocess.run(
            command, cwd=ROOT, env=env | settings, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout + done.stderr) == (code, says)


def test_nginx_and_the_units_use_the_same_socket():
    path = "unix:/run/course-management/gunicorn.sock"
    assert f"UPSTREAM={path}\n" in (ROOT / "deploy" / "nginx.env").read_text()
    assert f"HOST={path}\n" in (UNITS / "course-management.service").read_text()
    assert (
        f"ListenStream={path.removeprefix('unix:')}\n"
        in (UNITS / "course-management.socket").read_text()
    )


def test_the_service_may_open_enough_file_descriptors():
    """systemd's default is 1,024 descriptors, which a few hundred clients and the database would
    exceed.
    """
    assert "\nLimitNOFILE=65536\n" in (UNITS / "course-management.service").read_text()
