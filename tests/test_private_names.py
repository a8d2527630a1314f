"""The private names of libraries that we use. If an upgrade changes one, a test here fails and
names our module that relies on it.

Private are names with a leading underscore, and methods that we override or replace although the
library does not document them for that.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import course_management

ROOT = Path(__file__).parent.parent

# Our module: the names that it relies on, each with its parameters. ATTRIBUTE is one that the
# library sets on an instance or on a class.
ATTRIBUTE = "attribute"
USED = {
    "db/batching.py": {
        "psycopg2.extensions:connection.commit": ATTRIBUTE,
        "psycopg2.extensions:connection.rollback": ATTRIBUTE,
        "psycopg2.extensions:connection.notices": ATTRIBUTE,
        "psycopg2.extensions:connection.cursor_factory": ATTRIBUTE,
        "psycopg2.extensions:cursor.execute": ATTRIBUTE,
        "psycopg2.extensions:cursor.executemany": ATTRIBUTE,
        "psycopg2.extensions:cursor.copy_expert": ATTRIBUTE,
        "psycopg2.extensions:cursor.mogrify": ATTRIBUTE,
        "psycopg2.extensions:cursor.statusmessage": ATTRIBUTE,
    },
    "db/commits.py": {
        "sqlalchemy.engine.default:DefaultDialect.do_commit": "self dbapi_connection",
    },
    "db/pool_connections.py": {
        "sqlalchemy.engine.default:DefaultDialect.do_rollback": "self dbapi_connection",
    },
    "db/prepared_statements.py": {
        "sqlalchemy.engine:Connection._handle_dbapi_exception": "self e statement parameters "
        "cursor context is_sub_exec",
    },
    "db/statement_timing.py": {
        "sqlalchemy.engine.default:DefaultDialect.do_execute": "self cursor statement parameters "
        "context",
        "sqlalchemy.engine.default:DefaultDialect.do_executemany": "self cursor statement "
        "parameters context",
    },
    "db/transaction.py": {
        "sqlalchemy.orm:Session.connection": "self bind_arguments execution_options",
        "sqlalchemy.orm:Session.close": "self",
    },
    "ops/audit.py": {"sqlalchemy.engine:Row._mapping": ATTRIBUTE},
    "ops/metrics_view.py": {"prometheus_client.registry:Collector.collect": "self"},
    "server/hooks.py": {
        "gunicorn.util:write_error": "sock status_int reason mesg",
        "gunicorn.http.wsgi:Response.default_headers": "self",
        "prometheus_client.values:ValueClass": ATTRIBUTE,
        "prometheus_client.values:MultiProcessValue": "process_identifier",
        "prometheus_client.multiprocess:mark_process_dead": "pid path",
    },
    "server/http1.py": {
        "gunicorn.http.message:Request._parse_python": "self unreader buf",
        "gunicorn.http.message:Request.should_close": "self",
        "gunicorn.http.message:Request._peer_trusted_for_forwarded": "self",
        "gunicorn.http.message:Request._apply_header_policy": "self name value scheme_state seen "
        "secure_scheme_headers forwarder_headers from_trailer",
        "gunicorn.http.message:Request._expected_100_continue": ATTRIBUTE,
        "gunicorn.http.message:Request.max_buffer_headers": ATTRIBUTE,
        "gunicorn.http.wsgi:base_environ": "cfg",
        "gunicorn.util:unquote_to_wsgi_str": "string",
    },
    "server/inbox.py": {"gunicorn.http.body:CHUNK_EXT_RE": ATTRIBUTE},
    "server/worker.py": {
        "gunicorn.workers.gthread:ThreadWorker.run": "self",
        "gunicorn.workers.gthread:ThreadWorker.accept": "self listener",
        "gunicorn.workers.gthread:ThreadWorker.set_accept_enabled": "self enabled",
        "gunicorn.workers.gthread:ThreadWorker.wait_for_and_dispatch_events": "self timeout",
        "gunicorn.workers.gthread:ThreadWorker.is_parent_alive": "self",
        "gunicorn.workers.gthread:ThreadWorker.handle_error": "self req client addr exc",
        "gunicorn.workers.gthread:ThreadWorker.notify": "self",
        "gunicorn.workers.gthread:ThreadWorker.poller": ATTRIBUTE,
        "gunicorn.workers.gthread:ThreadWorker.method_queue": ATTRIBUTE,
        "gunicorn.workers.gthread:ThreadWorker.max_keepalived": ATTRIBUTE,
        "gunicorn.workers.gthread:ThreadWorker.worker_connections": ATTRIBUTE,
        "gunicorn.workers.gthread:PollableMethodQueue.run_callbacks": "self _fileobj max_callbacks",
        "gunicorn.workers.gthread:STOP_KEEPALIVE_LINGER": ATTRIBUTE,
        "gunicorn.workers.base:Worker.sockets": ATTRIBUTE,
        "gunicorn.workers.base:Worker.max_requests": ATTRIBUTE,
        "gunicorn.workers.base:Worker.nr": ATTRIBUTE,
    },
    "web/lean_flask.py": {
        "flask.ctx:RequestContext._after_request_functions": ATTRIBUTE,
        "flask:Flask.request_class": ATTRIBUTE,
        "flask:Flask.session_interface": ATTRIBUTE,
        "flask:Flask.ensure_sync": "self func",
        "flask:Flask.create_url_adapter": "self request",
        "flask:Flask.request_context": "self environ",
        "flask:Flask.preprocess_request": "self",
        "flask:Flask.process_response": "self response",
        "flask:Flask.do_teardown_appcontext": "self exc",
        "flask:Flask.do_teardown_request": "self exc",
        "flask.sessions:SessionInterface.open_session": "self app request",
        "werkzeug.wrappers:Request.stream": ATTRIBUTE,
        "werkzeug.wrappers:Request.close": "self",
        "werkzeug.routing:MapAdapter.__init__": "self map server_name script_name subdomain "
        "url_scheme path_info default_method query_args",
    },
    "web/raw_path.py": {
        "werkzeug.routing:BaseConverter.to_python": "self value",
        "werkzeug.routing:BaseConverter.regex": ATTRIBUTE,
        "werkzeug.routing:BaseConverter.part_isolating": ATTRIBUTE,
    },
    "web/rendering.py": {"flask:Flask.make_default_options_response": "self"},
    "web/request_context.py": {
        "werkzeug.local:LocalProxy._get_current_object": ATTRIBUTE,
    },
}
# Underscored names that a library documents: namedtuple's, Row's copy of it, and Enum's.
DOCUMENTED = {"_replace", "_asdict", "_fields", "_value_"}
# A class of ours that overrides a method of one of these has it in USED.
LIBRARIES = {"gunicorn", "flask", "werkzeug", "psycopg2", "prometheus_client"}
NAMES = [(module, name, shape) for module, names in USED.items() for name, shape in names.items()]


def find(name: str) -> Any:
    """The object of a library at `package.module:Class.member`, or None."""
    module, _, path = name.partition(":")
    found: Any = importlib.import_module(module)
    owner = None
    for part in path.split("."):
        owner, found = found, inspect.getattr_static(found, part, None)
    if found is None and inspect.isclass(owner) and is_set_by(owner, path.rpartition(".")[2]):
        return ATTRIBUTE
    return found


def is_set_by(owner: type, attribute: str) -> bool:
    """Whether a method of the class, or of one of its bases, sets the attribute on `self`, or a
    slot holds it.
    """
    return any(
        f"self.{attribute} =" in source or f"self.{attribute}:" in source
        for source in map(inspect.getsource, owner.__mro__[:-1])
    )


@pytest.mark.parametrize(("module", "name", "shape"), NAMES, ids=[name for _, name, _ in NAMES])
def test_a_library_still_has_what_we_use(module, name, shape):
    found = find(name)
    assert found is not None, f"course_management/{module} relies on {name}, which is gone."
    if shape is not ATTRIBUTE:
        parameters = " ".join(inspect.signature(found).parameters)
        assert parameters == shape, (
            f"course_management/{module} relies on {name}({shape}), which now takes {parameters}."
        )


def test_no_private_name_is_used_that_is_not_listed():
    """A leading underscore, on something that is not ours."""
    ours, used = set(DOCUMENTED), []
    files = [*(ROOT / "course_management").rglob("*.py"), ROOT / "gunicorn.conf.py"]
    for file in (*files, ROOT / "migrations" / "env.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            ours |= defined_by(node)
            if isinstance(node, ast.Attribute) and is_private(node.attr):
                used.append((str(file.relative_to(ROOT)), node.attr))
            elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] != (
                "course_management"
            ):
                used += [(file.name, a.name) for a in node.names if is_private(a.name)]
    listed = {name.rpartition(".")[2].rpartition(":")[2] for _, name, _ in NAMES}
    missing = {(file, name) for file, name in used if name not in ours | listed}
    assert missing == set(), "Add these private names to USED, with their parameters."


def defined_by(node: ast.AST) -> set[str]:
    """The name that this code gives to an object of this project."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return {node.name}
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return {node.id}
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
        return (
            {node.attr} if isinstance(node.value, ast.Name) and node.value.id == "self" else set()
        )
    return set()


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def test_no_method_of_a_library_is_overridden_that_is_not_listed():
    listed = {
        (name.partition(":")[0].partition(".")[0], name.partition(":")[2].rpartition(".")[2])
        for _, name, _ in NAMES
    }
    overridden = {
        (cls.__module__, base.__module__.partition(".")[0], name)
        for cls in classes()
        for base in cls.__mro__[1:]
        if base.__module__.partition(".")[0] in LIBRARIES
        for name in vars(cls).keys() & vars(base).keys()
        if not name.startswith(("__", "_abc_", "_is_protocol"))
    }
    missing = {found for found in overridden if found[1:] not in listed}
    assert missing == set(), "Add these methods to USED, with their parameters."


def classes() -> Iterator[type]:
    """Every class of the package."""
    for found in pkgutil.walk_packages(course_management.__path__, "course_management."):
        if found.name.endswith("__main__"):
            continue
        module = importlib.import_module(found.name)
        yield from (
            value
            for value in vars(module).values()
            if inspect.isclass(value) and value.__module__ == found.name
        )
