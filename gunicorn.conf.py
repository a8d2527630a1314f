"""How gunicorn serves the service. Settings: `.env.example`."""

import os
import select
import socket
import sys

from gunicorn import util
from gunicorn.http.wsgi import Response

from course_management import logs
from course_management.config import Config, refuse_open_to_others
from course_management.web import wire

settings = Config.from_env()

bind = f"[{settings.host}]:{settings.port}" if ":" in settings.host else f"{settings.host}:{settings.port}"
workers = settings.workers
worker_class = "course_management.worker.Worker" if hasattr(select, "epoll") else "gthread"  # macOS has no epoll
threads = settings.threads
limit_request_line = 8190  # bytes: a name of 200 characters, percent-encoded, and a cursor beside it
forwarder_headers = ""  # no header moves the routes
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # nosec B108 - touched at every turn: not on a disk
control_socket_disable = True  # it would stand in a home directory
loglevel = "warning"  # requests and events are logged by the service itself


def on_starting(server):
    """End with one line where it must not listen, or the port is taken: gunicorn would try for long and print a traceback."""
    for address in server.cfg.address:  # another one than in the settings, where --bind was given
        refuse_open_to_others(settings.auth, address[0] if isinstance(address, tuple) else address)
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            sys.exit(f"Cannot listen on {bind}: {error.strerror}. Set HOST or PORT to another address.")


def when_ready(server):
    """Say where the service is."""
    print(f"Course Management listens on http://{bind} (docs: http://{bind}/docs). Stop it with Ctrl-C.", file=sys.stderr)
    if settings.auth != "required":
        print(
            "AUTH=open: whoever reaches this address may do everything. docs/access.md says how to ask who it is.",
            file=sys.stderr,
        )


def post_worker_init(worker):
    """A server logs to standard output, refuses what is no HTTP as it refuses everything, and does not say what it is."""
    logs.configure(settings.log_level, sys.stdout)
    util.write_error = wire.write_error  # gunicorn's own page is HTML; it has no setting for it
    headers = Response.default_headers  # nor for its Server header
    Response.default_headers = lambda self: [line for line in headers(self) if not line.startswith("Server:")]
