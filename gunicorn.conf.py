"""How gunicorn serves the service. Settings: `.env.example`."""

import itertools
import os
import shutil
import signal
import socket
import sys
import tempfile
from pathlib import Path

import sqlalchemy as sa
from gunicorn import util
from gunicorn.http.wsgi import Response
from prometheus_client import multiprocess, values

from course_management.config import Config, refuse_open_to_others
from course_management.server import early_errors, worker_slots
from course_management.telemetry import logs

settings = Config.from_env()
is_unix = settings.host.startswith("unix:")

bind = (
    settings.host
    if is_unix
    else f"[{settings.host}]:{settings.port}"
    if ":" in settings.host
    else f"{settings.host}:{settings.port}"
)
umask = 0o007  # the socket is for the group: nginx
workers = settings.workers
worker_class = "course_management.server.worker.Worker" if settings.worker == "epoll" else "gthread"
threads = settings.threads
keepalive = settings.keepalive
graceful_timeout = settings.graceful_timeout
# bytes: a name of 200 characters, percent-encoded, and a cursor beside it
limit_request_line = 8190
forwarder_headers = ""  # no header moves the routes
# the one that nginx sets; another of a client's would be a 400
secure_scheme_headers = {"X-FORWARDED-PROTO": "https"}
# touched at every turn: not on a disk
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # nosec B108
control_socket_disable = True  # it would stand in a home directory
loglevel = "warning"  # requests and events are logged by the service itself
logconfig_dict = {
    "root": {"handlers": []},
    "loggers": {"gunicorn.error": {"level": "WARNING", "handlers": ["json"], "propagate": False}},
    "handlers": {
        "json": {
            "class": "course_management.telemetry.logs.JsonHandler",
            "stream": "ext://sys.stdout",
            "filters": ["discreet"],
        }
    },
    "filters": {"discreet": {"()": lambda: logs.discreet}},
}

# How many PostgreSQL has for us: current_setting(…, true) is null where a release does not know the
# setting.
CONNECTIONS = (
    "SELECT current_setting('max_connections')::int - "
    "current_setting('superuser_reserved_connections')::int"
    " - coalesce(current_setting('reserved_connections', true)::int, 0)"
)


def on_starting(server):
    """End with one line where the address cannot be had; gunicorn would print tracebacks, or
    take a socket from who uses it.
    """
    if server.cfg.is_ssl:
        sys.exit(
            "TLS is nginx's: start gunicorn without --certfile and --keyfile "
            "(deploy/nginx-tls.conf)."
        )
    # With LISTEN_FDS systemd has made the socket already.
    if "LISTEN_FDS" not in os.environ and (fault := socket_fault() if is_unix else port_fault()):
        sys.exit(f"Cannot listen on {bind}: {fault}. Set HOST or PORT to another address.")
    # What the workers count, for /metrics: from nothing at each start, kept over reloads, in memory
    # where there is some.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(
        prefix="course-management-metrics-", dir=worker_tmp_dir
    )
    warn_of_missing_connections(server.log)


def port_fault():
    """Why the port cannot be listened on, or None."""
    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            return error.strerror


def socket_fault():
    """Why the unix socket cannot be made, or None. One that nobody listens on is left over, and
    gunicorn replaces it.
    """
    path = Path(settings.host.removeprefix("unix:"))
    with socket.socket(socket.AF_UNIX) as probe:
        if probe.connect_ex(str(path)) == 0:
            return "Address already in use"
    if path.exists() and not path.is_socket():
        return "there is a file of that name"
    return (
        None
        if os.access(path.parent, os.W_OK)
        else f"{path.parent} is no folder this process can write to"
    )


def warn_of_missing_connections(log):
    """Warn where the threads together may want more connections than PostgreSQL has. It may be
    away.
    """
    # PgBouncer has its own count
    if settings.database_url.get_backend_name() != "postgresql" or not settings.prepare:
        return
    engine = sa.create_engine(
        settings.database_url, poolclass=sa.NullPool, connect_args={"connect_timeout": 5}
    )
    try:
        with engine.connect() as connection:
            has = connection.scalar(sa.text(CONNECTIONS))
    except sa.exc.DBAPIError:
        return
    if workers * threads > has:
        log.warning(
            "too few database connections", extra={"wanted": workers * threads, "available": has}
        )


def when_ready(server):
    """Say where the service is; end with one line where that lets in others than this machine,
    and nobody said so.
    """
    # the real ones: --bind, or a socket of systemd, need not be that of the settings
    for listener in server.LISTENERS:
        name = listener.sock.getsockname()
        refuse_open_to_others(settings.auth, name[0] if isinstance(name, tuple) else f"unix:{name}")
    where = ", ".join(map(str, server.LISTENERS))
    docs = "" if is_unix else f" (docs: {where}/docs)"
    print(f"Course Management listens on {where}{docs}. Stop it with Ctrl-C.", file=sys.stderr)
    if settings.auth != "required":
        who = {
            "open": "AUTH=open: whoever reaches this address",
            "": "AUTH is not set: everybody on this machine",
        }[settings.auth]
        how = " may do everything" + ("" if settings.auth else ", by its loopback names")
        print(f"{who}{how}. docs/access.md says how to ask who it is.", file=sys.stderr)


def pre_fork(server, worker):
    """Give each worker a slot, a dead one's where there is one: its files are counted on in, and
    do not become more.
    """
    taken = {other.slot for other in server.WORKERS.values()}
    worker.slot = next(slot for slot in itertools.count() if slot not in taken)


def post_fork(server, worker):
    """Count in the files of the worker's slot, and keep what it is told before it listens to
    signals.

    gunicorn would queue that as for the master, and the worker would go on.
    """
    worker.told = server.SIG_QUEUE
    values.ValueClass = worker_slots.value_class(
        os.environ["PROMETHEUS_MULTIPROC_DIR"], worker.slot
    )


def child_exit(server, worker):
    """Forget what a dead worker had under way."""
    worker_slots.connections[worker.slot] = 0
    multiprocess.mark_process_dead(worker.slot)


def on_exit(server):
    """Remove what was counted."""
    shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)


def post_worker_init(worker):
    """A server logs to standard output, refuses what is no HTTP as it refuses everything, and
    does not say what it is.
    """
    while not worker.told.empty():
        if worker.told.get() == signal.SIGTERM:
            worker.alive = False
    logs.configure(settings.log_level, sys.stdout)
    # gunicorn's own page is HTML; it has no setting for it
    util.write_error = early_errors.write_error
    # nor for its Server header; our own worker writes none, gthread does
    headers = Response.default_headers
    Response.default_headers = lambda self: [
        line for line in headers(self) if not line.startswith("Server:")
    ]
