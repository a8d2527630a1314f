"""How gunicorn serves the service. Settings: `.env.example`."""

import os
import select
import socket
import sys
from pathlib import Path

import sqlalchemy as sa
from gunicorn import util

from course_management import logs
from course_management.config import Config
from course_management.web import wire

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
worker_class = "course_management.worker.Worker" if hasattr(select, "epoll") else "gthread"  # macOS has no epoll
threads = settings.threads
keepalive = settings.keepalive
graceful_timeout = settings.graceful_timeout
limit_request_line = 8190  # bytes: a name of 200 characters, percent-encoded, and a cursor beside it
forwarder_headers = ""  # no header moves the routes
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # touched at every turn: not on a disk
control_socket_disable = True  # it would stand in a home directory
loglevel = "warning"  # requests and events are logged by the service itself
logconfig_dict = {
    "root": {"handlers": []},
    "loggers": {"gunicorn.error": {"level": "WARNING", "handlers": ["json"], "propagate": False}},
    "handlers": {"json": {"class": "course_management.logs.JsonHandler", "stream": "ext://sys.stdout", "filters": ["discreet"]}},
    "filters": {"discreet": {"()": lambda: logs.discreet}},
}

# How many PostgreSQL has for us: current_setting(…, true) is null where a release does not know the setting.
CONNECTIONS = (
    "SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int"
    " - coalesce(current_setting('reserved_connections', true)::int, 0)"
)


def on_starting(server):
    """End with one line where the address cannot be had; gunicorn would print tracebacks, or take a socket from who uses it."""
    # With LISTEN_FDS systemd has made the socket already.
    if "LISTEN_FDS" not in os.environ and (fault := socket_fault() if is_unix else port_fault()):
        sys.exit(f"Cannot listen on {bind}: {fault}. Set HOST or PORT to another address.")
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
    """Why the unix socket cannot be made, or None. One that nobody listens on is left over, and gunicorn replaces it."""
    path = Path(settings.host.removeprefix("unix:"))
    with socket.socket(socket.AF_UNIX) as probe:
        if probe.connect_ex(str(path)) == 0:
            return "Address already in use"
    if path.exists() and not path.is_socket():
        return "there is a file of that name"
    return None if os.access(path.parent, os.W_OK) else f"{path.parent} is no folder this process can write to"


def warn_of_missing_connections(log):
    """Warn where the threads together may want more connections than PostgreSQL has. It may be away."""
    if settings.database_url.get_backend_name() != "postgresql" or not settings.prepare:  # PgBouncer has its own count
        return
    engine = sa.create_engine(settings.database_url, poolclass=sa.NullPool, connect_args={"connect_timeout": 5})
    try:
        with engine.connect() as connection:
            has = connection.scalar(sa.text(CONNECTIONS))
    except sa.exc.DBAPIError:
        return
    if workers * threads > has:
        log.warning("too few database connections", extra={"wanted": workers * threads, "available": has})


def when_ready(server):
    """Say where the service is."""
    where = ", ".join(map(str, server.LISTENERS))
    docs = "" if is_unix else f" (docs: {where}/docs)"
    print(f"Course Management listens on {where}{docs}. Stop it with Ctrl-C.", file=sys.stderr)


def post_worker_init(worker):
    """A server logs to standard output, and refuses what is no HTTP as it refuses everything."""
    logs.configure(settings.log_level, sys.stdout)
    util.write_error = wire.write_error  # gunicorn's own page is HTML; it has no setting for it
