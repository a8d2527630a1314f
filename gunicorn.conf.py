"""How gunicorn serves the service. Settings: `.env.example`."""

import itertools
import os
import select
import shutil
import socket
import sys
import tempfile

from gunicorn import util
from prometheus_client import multiprocess, values

from course_management import logs, shared
from course_management.config import Config
from course_management.web import wire

settings = Config.from_env()

bind = f"[{settings.host}]:{settings.port}" if ":" in settings.host else f"{settings.host}:{settings.port}"
workers = settings.workers
worker_class = "course_management.worker.Worker" if hasattr(select, "epoll") else "gthread"  # macOS has no epoll
threads = settings.threads
limit_request_line = 8190  # bytes: a name of 200 characters, percent-encoded, and a cursor beside it
forwarder_headers = ""  # no header moves the routes
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # touched at every turn: not on a disk
control_socket_disable = True  # it would stand in a home directory
loglevel = "warning"  # requests and events are logged by the service itself


def on_starting(server):
    """End with one line where the port is taken; gunicorn would try for five seconds and print a traceback."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            sys.exit(f"Cannot listen on {bind}: {error.strerror}. Set HOST or PORT to another address.")
    # What the workers count, for /metrics: from nothing at each start, kept over reloads, in memory where there is some.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="course-management-metrics-", dir=worker_tmp_dir)


def when_ready(server):
    """Say where the service is."""
    print(f"Course Management listens on http://{bind} (docs: http://{bind}/docs). Stop it with Ctrl-C.", file=sys.stderr)


def pre_fork(server, worker):
    """Give each worker a slot, a dead one's where there is one: its files are counted on in, and do not become more."""
    taken = {other.slot for other in server.WORKERS.values()}
    worker.slot = next(slot for slot in itertools.count() if slot not in taken)


def post_fork(server, worker):
    """Count in the files of the worker's slot."""
    values.ValueClass = shared.value_class(os.environ["PROMETHEUS_MULTIPROC_DIR"], worker.slot)


def child_exit(server, worker):
    """Forget what a dead worker had under way."""
    multiprocess.mark_process_dead(worker.slot)


def on_exit(server):
    """Remove what was counted."""
    shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)


def post_worker_init(worker):
    """A server logs to standard output, and refuses what is no HTTP as it refuses everything."""
    logs.configure(settings.log_level, sys.stdout)
    util.write_error = wire.write_error  # gunicorn's own page is HTML; it has no setting for it
