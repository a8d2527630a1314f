"""LeanFlask refuses features of Flask that it leaves out."""

from __future__ import annotations

import flask
import pytest

from course_management.web.lean_flask import LeanFlask


def nothing(*_: object) -> None:
    """A hook."""


@pytest.mark.parametrize(
    "hook", ["before_request", "after_request", "teardown_request", "url_value_preprocessor"]
)
def test_a_hook_of_a_blueprint_is_refused(hook):
    app, blueprint = LeanFlask(__name__), flask.Blueprint("own", __name__)
    app.before_request(nothing)
    app.refuse_what_is_left_out()
    getattr(blueprint, hook)(nothing)
    app.register_blueprint(blueprint)
    with pytest.raises(RuntimeError):
        app.refuse_what_is_left_out()


@pytest.mark.parametrize("hook", ["teardown_request", "url_value_preprocessor"])
def test_a_hook_that_nobody_calls_is_refused(hook):
    app = LeanFlask(__name__)
    getattr(app, hook)(nothing)
    with pytest.raises(RuntimeError):
        app.refuse_what_is_left_out()


def test_a_coroutine_is_refused():
    async def view() -> str:
        return ""

    app = LeanFlask(__name__)
    app.add_url_rule("/", view_func=view)
    with pytest.raises(RuntimeError):
        app.refuse_what_is_left_out()


def test_a_session_refuses_to_be_written_to():
    app = LeanFlask(__name__)
    with app.test_request_context("/"), pytest.raises(RuntimeError):
        flask.session["student"] = 1
