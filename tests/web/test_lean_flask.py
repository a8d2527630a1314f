"""A feature that LeanFlask omits cannot be used without an error."""

from __future__ import annotations

import flask
import pytest

from course_management.web.lean_flask import LeanFlask

pytestmark = pytest.mark.fast_parts


def nothing(*_: object) -> None:
    """A hook."""


@pytest.mark.parametrize(
    "hook", ["before_request", "after_request", "teardown_request", "url_value_preprocessor"]
)
def test_a_hook_of_a_blueprint_is_refused(hook):
    app, blueprint = LeanFlask(__name__), flask.Blueprint("own", __name__)
    app.before_request(nothing)
    app.refuse_unsupported()
    getattr(blueprint, hook)(nothing)
    app.register_blueprint(blueprint)
    with pytest.raises(RuntimeError):
        app.refuse_unsupported()


@pytest.mark.parametrize(
    "hook", ["teardown_request", "teardown_appcontext", "url_value_preprocessor"]
)
def test_a_hook_that_is_never_called_is_refused(hook):
    app = LeanFlask(__name__)
    getattr(app, hook)(nothing)
    with pytest.raises(RuntimeError):
        app.refuse_unsupported()


def test_a_coroutine_is_refused():
    async def view() -> str:
        return ""

    app = LeanFlask(__name__)
    app.add_url_rule("/", view_func=view)
    with pytest.raises(RuntimeError):
        app.refuse_unsupported()


def test_a_session_refuses_to_be_written_to():
    app = LeanFlask(__name__)
    with app.test_request_context("/"), pytest.raises(RuntimeError):
        flask.session["student"] = 1


def test_a_coroutine_before_a_request_is_refused():
    async def before() -> None:
        """A hook."""

    app = LeanFlask(__name__)
    app.before_request(before)
    with pytest.raises(RuntimeError):
        app.refuse_unsupported()


def test_after_this_request_raises_an_error():
    """Fails if the function is silently never called."""
    app = LeanFlask(__name__)

    @app.get("/")
    def view() -> str:
        flask.after_this_request(lambda response: response)
        return ""

    app.testing = True
    with pytest.raises(RuntimeError, match="after_this_request"):
        app.test_client().get("/")


@pytest.mark.parametrize("name", ["request_tearing_down", "appcontext_tearing_down"])
def test_a_receiver_of_a_signal_that_is_not_sent_is_refused(name):
    app = LeanFlask(__name__)
    app.refuse_unsupported()
    with (
        getattr(flask, name).connected_to(nothing, sender=app),
        pytest.raises(RuntimeError, match=name),
    ):
        app.refuse_unsupported()


def test_routing_by_host_is_refused():
    app = LeanFlask(__name__, host_matching=True, static_folder=None)
    with pytest.raises(RuntimeError, match="hosts"):
        app.refuse_unsupported()


@pytest.mark.parametrize("kind", ["lean", "stock"])
def test_the_setting_chooses_the_class(tmp_path, make_app, kind):
    app = make_app(f"sqlite:///{tmp_path}/x.db", flask=kind)
    assert (type(app) is flask.Flask) is (kind == "stock")
    answer = app.test_client().options("/courses")
    assert (answer.status_code, "Content-Type" in answer.headers) == (200, False)
