"""gunicorn's hooks: the functions that gunicorn calls when it starts, forks and stops.

`gunicorn.conf.py` imports them by name. They work with every worker class.
https://docs.gunicorn.org/en/stable/settings.html#server-hooks documents when each is called.
"""

from __future__ import annotations

import gc
import os
import shutil
import signal
import socket
import sys
import tempfile
from pathlib import Path

import sqlalchemy as sa
from gunicorn import util
from gunicorn.arbiter import Arbiter
from gunicorn.http.wsgi import Response
from gunicorn.workers.base import Worker
from prometheus_client import multiprocess, values

from course_management.config import Config, refuse_open_to_others
from course_management.server import early_errors, worker_slots
from course_management.telemetry import logs

METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # the variable that prometheus_client reads
DATABASE_CONNECT_SECONDS = 5

# The connections that PostgreSQL has for ordinary users. current_setting(..., true) is null where
# a release does not know the setting.
_AVAILABLE_CONNECTIONS = sa.text(
    "SELECT current_setting('max_connections')::int - "
    "current_setting('superuser_reserved_connections')::int"
    " - coalesce(current_setting('reserved_connections', true)::int, 0)"
)


def bind_address(host: str, port: int) -> str:
    """Return the setting `bind` of gunicorn for a host (a name, an address, or `unix:` and a
    path) and a port.
    """
    if host.startswith("unix:"):
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def on_starting(server: Arbiter) -> None:
    """Check settings that gunicorn would report with a traceback, and create the metrics folder.

    Exits with one line if TLS is configured or if the address cannot be used.
    """
    settings = Config.from_env()
    if server.cfg.is_ssl:
        sys.exit(
            "nginx handles TLS (deploy/nginx-tls.conf): start gunicorn without --certfile and "
            "--keyfile."
        )
    # With LISTEN_FDS, systemd has made the socket already.
    if "LISTEN_FDS" not in os.environ and (fault := _address_fault(settings.host, settings.port)):
        sys.exit(
            f"Cannot listen on {bind_address(settings.host, settings.port)}: {fault}. "
            "Set HOST or PORT to another address."
        )
    # The counts of all workers. They start at zero with the server and survive its reloads.
    os.environ[METRICS_FOLDER] = tempfile.mkdtemp(
        prefix="course-management-metrics-", dir=server.cfg.worker_tmp_dir
    )
    _warn_of_missing_connections(server, settings)


def _address_fault(host: str, port: int) -> str | None:
    """Return why the address cannot be used, or None."""
    if host.startswith("unix:"):
        return _unix_socket_fault(Path(host.removeprefix("unix:")))
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.strerror
    return None


def _unix_socket_fault(path: Path) -> str | None:
    """Return why the unix socket cannot be made, or None.

    gunicorn replaces a socket on which no process listens, and also one that is in use.
    """
    with socket.socket(socket.AF_UNIX) as probe:
        if probe.connect_ex(str(path)) == 0:
            return "Address already in use"
    if path.exists() and not path.is_socket():
        return "a file with this name exists"
    if not os.access(path.parent, os.W_OK):
        return f"{path.parent} is not a folder to which this process can write"
    return None


def _warn_of_missing_connections(server: Arbiter, settings: Config) -> None:
    """Log a warning if all threads together may need more connections than PostgreSQL has.

    Does nothing if the database cannot be reached, or behind PgBouncer (PREPARE is off), which has
    a limit of its own.
    """
    if settings.database_url.get_backend_name() != "postgresql" or not settings.prepare:
        return
    engine = sa.create_engine(
        settings.database_url,
        poolclass=sa.NullPool,
        connect_args={"connect_timeout": DATABASE_CONNECT_SECONDS},
    )
    try:
        with engine.connect() as connection:
            available = connection.scalar(_AVAILABLE_CONNECTIONS)
    except sa.exc.DBAPIError:
        return
    wanted = settings.workers * settings.threads
    if wanted > available:
        server.log.warning(
            "too few database connections", extra={"wanted": wanted, "available": available}
        )


def when_ready(server: Arbiter) -> None:
    """Print the address of the service and a warning if it asks for no credentials.

    Exits with one line if other machines could use such a service and AUTH does not allow that.
    """
    settings = Config.from_env()
    # The sockets decide, not the settings: --bind and systemd can differ from them.
    for listener in server.LISTENERS:
        name = listener.sock.getsockname()
        refuse_open_to_others(settings.auth, name[0] if isinstance(name, tuple) else f"unix:{name}")
    where = ", ".join(map(str, server.LISTENERS))
    docs = "" if settings.host.startswith("unix:") else f" (docs: {where}/docs)"
    print(f"Course Management listens on {where}{docs}. Stop it with Ctrl-C.", file=sys.stderr)
    if settings.auth != "required":
        who = {
            "open": "AUTH=open: everybody who can reach this address",
            "": "AUTH is not set: everybody on this machine",
        }[settings.auth]
        how = " may do everything" + ("" if settings.auth else ", through loopback names only")
        print(f"{who}{how}. docs/access.md explains how to require keys.", file=sys.stderr)


def pre_fork(server: Arbiter, worker: Worker) -> None:
    """Give the worker a slot (server/worker_slots.py)."""
    worker.cm_slot = worker_slots.free_slot(other.cm_slot for other in server.WORKERS.values())


def post_fork(server: Arbiter, worker: Worker) -> None:
    """Have the worker count in the metric files of its slot, and remember the master's queue.

    Until the worker has installed its own handlers, the handlers of the master put a signal for
    the worker into this queue, and the worker would ignore it.
    """
    worker.cm_early_signals = server.SIG_QUEUE
    # prometheus_client has no annotations here
    values.ValueClass = values.MultiProcessValue(  # type: ignore[no-untyped-call]
        process_identifier=lambda: worker.cm_slot
    )


def post_worker_init(worker: Worker) -> None:
    """Stop if SIGTERM arrived early, log to standard output, and replace gunicorn's answers.

    gunicorn has no setting for its own error pages, which are HTML, nor for its Server header.
    Python's garbage collector no longer visits what exists now: a request about 1,000 students
    would otherwise spend a quarter of its time on that.
    """
    while not worker.cm_early_signals.empty():
        if worker.cm_early_signals.get() == signal.SIGTERM:
            worker.alive = False
    logs.configure(Config.from_env().log_level, sys.stdout)
    util.write_error = early_errors.write_error
    default_headers = Response.default_headers
    Response.default_headers = lambda self: [
        line for line in default_headers(self) if not line.startswith("Server:")
    ]
    gc.collect()
    gc.freeze()


def child_exit(server: Arbiter, worker: Worker) -> None:
    """Forget the open connections and the requests in flight of a worker that has ended."""
    worker_slots.connection_counts[worker.cm_slot] = 0
    # prometheus_client has no annotations here
    multiprocess.mark_process_dead(worker.cm_slot)  # type: ignore[no-untyped-call]


def on_exit(server: Arbiter) -> None:
    """Remove the folder of the metrics."""
    shutil.rmtree(os.environ[METRICS_FOLDER], ignore_errors=True)
