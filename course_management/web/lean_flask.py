"""Fast part: Flask without the features that this service does not use.

For every request, Flask checks for coroutines, routing by host, sessions, hooks of blueprints and
functions to call when the request ends. These checks take a quarter of the time of server and
framework. `LeanFlask` omits them, reads bodies without a second limit, and sends complete responses
without processing their headers again. If an app uses an omitted feature, it does not start, or the
use raises RuntimeError. `FLASK=stock` uses flask.Flask instead (docs/decisions/0011-framework.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from inspect import iscoroutinefunction
from itertools import chain
from typing import IO, Any, NoReturn, cast
from wsgiref.types import StartResponse, WSGIEnvironment

from flask import Flask, Request, Response, appcontext_tearing_down, request_tearing_down
from flask.ctx import RequestContext
from flask.sessions import NullSession, SessionInterface
from werkzeug.routing import MapAdapter


class _NoSession(SessionInterface):
    _none = NullSession()

    def open_session(self, app: Flask, request: Request) -> NullSession:
        # Writing to it raises RuntimeError: nothing would be saved.
        return self._none


class _NoFunctions(list[Any]):
    """The list to which `flask.after_this_request` appends its function."""

    def append(self, function: Any) -> NoReturn:
        raise RuntimeError(
            "web/lean_flask.py does not call functions of after_this_request. Set the header where "
            "the response is made, or set FLASK=stock."
        )


_OMITTED_SIGNALS = (request_tearing_down, appcontext_tearing_down)
_NO_FUNCTIONS = _NoFunctions()


class LeanRequest(Request):
    """A request that reads its body directly from the server's stream, if this stream ends where
    the body ends.
    """

    @property
    def stream(self) -> IO[bytes]:
        """The stream of the body. werkzeug's own stream would check the length again and double the
        cost.
        """
        if "wsgi.input_terminated" in self.environ:
            return cast(IO[bytes], self.environ["wsgi.input"])
        return super().stream

    def close(self) -> None:
        """Close nothing: no form is ever parsed, so there are no uploaded files."""


class LeanResponse(Response):
    """A response whose body is one byte string and whose headers are final.

    Sending it takes 0.9 microseconds. werkzeug would process body and headers twice more, which
    takes 7.7.
    """

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response(self.status, list(self.headers))
        return [] if environ["REQUEST_METHOD"] == "HEAD" else cast(list[bytes], self.response)


class LeanFlask(Flask):
    """The application with `FLASK=lean`."""

    request_class = LeanRequest
    session_interface = _NoSession()
    # Read by rendering.json_document.
    json_response_class = LeanResponse

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return `func` unchanged: it is never a coroutine (`refuse_unsupported`)."""
        return func

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """An adapter without a host: the routes are the same for every host."""
        if request is None:
            return None
        given = request.environ
        return MapAdapter(
            self.url_map,
            "",
            given["SCRIPT_NAME"],
            "",
            request.scheme,
            given["PATH_INFO"],
            request.method,
        )

    def request_context(self, environ: WSGIEnvironment) -> RequestContext:
        """The context of a request in which `after_this_request` raises RuntimeError."""
        context = super().request_context(environ)
        context._after_request_functions = _NO_FUNCTIONS
        return context

    def preprocess_request(self) -> Any:
        """Call the app's functions before a request, until one of them returns a response."""
        for before in self.before_request_funcs.get(None, ()):
            if (response := before()) is not None:
                return response
        return None

    def process_response(self, response: Response) -> Response:
        """Call the app's functions after a request, the last registered first."""
        for after in reversed(self.after_request_funcs[None]):
            response = after(response)
        return response

    def do_teardown_request(self, exc: BaseException | None = None) -> None:
        """Call nothing."""

    def do_teardown_appcontext(self, exc: BaseException | None = None) -> None:
        """Call nothing. Flask-SQLAlchemy would close `db.session`, which nobody uses: each
        transaction has its own session (db/transaction.py).
        """

    def refuse_unsupported(self) -> None:
        """Raise RuntimeError if the app uses a feature that is omitted here. Call it when
        everything is registered.
        """
        hooks = (self.before_request_funcs, self.after_request_funcs)
        functions = chain(
            self.view_functions.values(), *(chain(*by_blueprint.values()) for by_blueprint in hooks)
        )
        if any(map(iscoroutinefunction, functions)):
            raise RuntimeError("web/lean_flask.py does not call coroutines.")
        if {*self.before_request_funcs, *self.after_request_funcs} - {None} or (
            self.teardown_request_funcs or self.url_value_preprocessors
        ):
            raise RuntimeError(
                "web/lean_flask.py does not call hooks of a blueprint, url_value_preprocessor or "
                "functions for the teardown of a request."
            )
        if any(any(signal.receivers_for(self)) for signal in _OMITTED_SIGNALS):
            raise RuntimeError(
                "web/lean_flask.py does not send request_tearing_down and appcontext_tearing_down."
            )
        if any(
            f.__module__ != "flask_sqlalchemy.extension" for f in self.teardown_appcontext_funcs
        ):
            raise RuntimeError(
                "web/lean_flask.py does not call functions for the teardown of a context."
            )
        if self.url_map.host_matching or self.subdomain_matching or self.config["TRUSTED_HOSTS"]:
            raise RuntimeError("web/lean_flask.py does not check or route by hosts.")
