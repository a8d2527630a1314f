"""gunicorn's settings. `.env.example` lists the settings of the service.

The names that gunicorn reads from this file are documented in
https://docs.gunicorn.org/en/stable/settings.html.
"""

import os

from course_management.config import Config
from course_management.server.hooks import (  # noqa: F401 - gunicorn reads these names
    bind_address,
    child_exit,
    on_exit,
    on_starting,
    post_fork,
    post_worker_init,
    pre_fork,
    when_ready,
)
from course_management.telemetry.logs import discreet

settings = Config.from_env()

bind = bind_address(settings.host, settings.port)
umask = 0o007  # nginx reaches the unix socket through the socket's group
workers = settings.workers
worker_class = "course_management.server.worker.Worker" if settings.worker == "epoll" else "gthread"
threads = settings.threads
keepalive = settings.keepalive  # seconds
graceful_timeout = settings.graceful_timeout  # seconds
# With gunicorn's parser in C, server/http1.py would read nothing, and HTTP/1.1 without Host would
# be accepted.
http_parser = "python"
# Bytes: a name of 200 characters, percent-encoded, and a cursor
limit_request_line = 8190
forwarder_headers = ""  # no header changes the path of a route
# The header that nginx sets. With gunicorn's default, another such header of a client is a 400.
secure_scheme_headers = {"X-FORWARDED-PROTO": "https"}
# Workers write to files in it several times a second, so it is in memory where that exists.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # nosec B108
control_socket_disable = True  # gunicorn would create it in a home directory
loglevel = "warning"  # the service itself logs requests and events
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
    "filters": {"discreet": {"()": lambda: discreet}},
}
