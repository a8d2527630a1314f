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
from course_management.telemetry.logs import without_request_text

settings = Config.from_env()

bind = bind_address(settings.host, settings.port)
umask = 0o007  # nginx reaches the unix socket through the socket's group
workers = settings.workers
worker_class = "course_management.server.worker.Worker" if settings.worker == "epoll" else "gthread"
threads = settings.threads
keepalive = settings.keepalive  # seconds
graceful_timeout = settings.graceful_timeout  # seconds
# gunicorn's parser in C would bypass server/http1.py, and accept HTTP/1.1 requests without Host.
http_parser = "python"
limit_request_line = 8190  # bytes: enough for a percent-encoded course name and a cursor
forwarder_headers = ""  # no header can set SCRIPT_NAME or PATH_INFO
# Only the header that nginx sets. By default, gunicorn also reads other headers, and answers 400 if
# a client sends one that contradicts it.
secure_scheme_headers = {"X-FORWARDED-PROTO": "https"}
# Workers write to files in this folder several times a second, so it is in memory if possible.
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
            "filters": ["without_request_text"],
        }
    },
    "filters": {"without_request_text": {"()": lambda: without_request_text}},
}
