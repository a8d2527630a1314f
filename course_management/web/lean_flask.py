"""Flask without what this service has not: coroutines, hosts, sessions, and functions that a
blueprint adds to a request.

Flask looks for each of them at every request, before and after it and when it is torn down, a
quarter of what server and framework cost. What is left out must not be used: an app that uses it
does not start (docs/decisions/0011-framework.md).
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any

from flask import Flask, Request, Response
from flask.sessions import NullSession, SessionInterface
from werkzeug.routing import MapAdapter


class _NoSession(SessionInterface):
    _none = NullSession()

    def open_session(self, app: Flask, request: Request) -> NullSession:
        return self._none  # it refuses to be written to: nothing is ever saved


class LeanFlask(Flask):
    """The application."""

    session_interface = _NoSession()

    def make_default_options_response(self) -> Response:
        """What an address takes is in Allow; there is no body, and so no type of one."""
        answer = super().make_default_options_response()
        del answer.headers["Content-Type"]
        return answer

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """No view is a coroutine."""
        return func

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """The same routes for every host, and no address that names one."""
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

    def preprocess_request(self) -> Any:
        """Call what stands before every request; what one of them answers is the answer."""
        for before in self.before_request_funcs.get(None, ()):
            if (answer := before()) is not None:
                return answer
        return None

    def process_response(self, response: Response) -> Response:
        """Call what stands after every request, the last registered first."""
        for after in reversed(self.after_request_funcs[None]):
            response = after(response)
        return response

    def do_teardown_request(self, exc: BaseException | None = None) -> None:
        """Nothing is to be torn down."""

    def refuse_what_is_left_out(self) -> None:
        """Raise RuntimeError where something was registered that is never called."""
        if any(map(iscoroutinefunction, self.view_functions.values())):
            raise RuntimeError("web/lean_flask.py waits for no coroutine.")
        of_blueprints = {*self.before_request_funcs, *self.after_request_funcs} - {None}
        if of_blueprints or self.teardown_request_funcs or self.url_value_preprocessors:
            raise RuntimeError(
                "web/lean_flask.py calls nothing of a blueprint's own, nor when a request is "
                "torn down."
            )
