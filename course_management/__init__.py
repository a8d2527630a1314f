"""Course Management: students, courses and enrollments over REST."""

from __future__ import annotations

from flask import Flask, redirect

from course_management.auth.key_cache import KeyCache
from course_management.auth.oidc import TokenVerifier
from course_management.catalog.views import bp as catalog_bp
from course_management.config import BASE_THREADS, ROOT, Config
from course_management.core.api import API_PREFIX
from course_management.core.principal import ADMIN
from course_management.courses.views import bp as courses_bp
from course_management.db import base, engine, statement_timing, transaction
from course_management.enrollments import offerings
from course_management.enrollments.eligibility_views import bp as eligibility_bp
from course_management.enrollments.views import bp as enrollments_bp
from course_management.ops import cli, health, metrics_view
from course_management.records.completions.views import bp as completions_bp
from course_management.records.groups.views import bp as groups_bp
from course_management.records.holds.views import bp as holds_bp
from course_management.records.overrides.views import bp as overrides_bp
from course_management.registrar.views import bp as registrar_bp
from course_management.rules.facts import Settings
from course_management.students import queries as students
from course_management.students.views import bp as students_bp
from course_management.telemetry import logs, metrics
from course_management.terms.views import bp as terms_bp
from course_management.web import (
    access,
    cors,
    hosts,
    openapi,
    problems,
    raw_path,
    rehearsal,
    rendering,
    request_context,
)
from course_management.web.lean_flask import LeanFlask
from course_management.web.parsing import MAX_BODY_BYTES


def create_app(config: Config | None = None) -> Flask:
    """The service as a Flask app. Without `config` it reads the settings from the environment.

    Does not connect to the database. Raises BadSetting.
    """
    config = config or Config.from_env()
    app = (LeanFlask if config.flask == "lean" else Flask)(__name__, static_folder=None)
    app.config.update(
        SQLALCHEMY_DATABASE_URI=config.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=engine.engine_options(
            config.database_url, config.threads, batching=config.batching
        ),
        MAX_CONTENT_LENGTH=MAX_BODY_BYTES + 1,
        COURSE_LEVELS=config.course_levels,
        GRADES=config.grades,
        RULES=Settings(config.grades, config.text_refuses),
        AUTH=config.auth,
        IDENTITY=_identity(config),
    )
    logs.configure(config.log_level)
    engine.init_app(app, ROOT / "migrations", batching=config.batching, prepare=config.prepare)
    with app.app_context():
        statement_timing.init_engine(base.db.engine, config.slow_statement_ms)
        if config.offerings_cache:
            offerings.init_engine(base.db.engine)
    metrics.metrics().threads.set(min(config.threads, BASE_THREADS))
    metrics.metrics().pool_size.set(config.threads)
    raw_path.init_app(app)
    request_context.init_app(app, config.slow_request_ms, proxy=config.proxy)
    rendering.init_app(app)
    problems.init_app(app)
    if not config.auth:
        hosts.init_app(app)

    features = (students_bp, terms_bp, catalog_bp, courses_bp, enrollments_bp, registrar_bp)
    records = (groups_bp, completions_bp, holds_bp, overrides_bp, eligibility_bp)
    for blueprint in (*features, *records, health.bp, openapi.bp, problems.bp):
        app.register_blueprint(blueprint, url_prefix=API_PREFIX)
        app.register_blueprint(blueprint, name=f"{blueprint.name}_at_root")
    app.add_url_rule("/", "home", access.needs(access.PUBLIC)(lambda: redirect("/docs")))
    app.add_url_rule(request_context.METRICS, "metrics", access.needs(ADMIN)(metrics_view.metrics))

    access.init_app(app, _authenticate(config) if config.auth == access.REQUIRED else None)
    rehearsal.init_app(app)
    cors.init_app(app, config.cors_origins)
    cli.init_app(app)
    if isinstance(app, LeanFlask):
        app.refuse_unsupported()
    return app


def _identity(config: Config) -> str | None:
    """The attribute by which sign-ins recognise a student, if requests can change it, else None."""
    attribute = (
        config.oidc.student[0]
        if config.oidc and config.oidc.student and config.auth == access.REQUIRED
        else None
    )
    return attribute if attribute != "id" else None


def _authenticate(config: Config) -> access.Authenticate:
    """A function that finds the principal of a bearer token.

    Tokens that begin with `cm_` are API keys. Others are tokens of the OpenID Connect provider, if
    one is set.
    """
    keyring = KeyCache()
    tokens = (
        TokenVerifier(
            config.oidc,
            lambda by, value: transaction.read(lambda c: students.find_student(c, by, value)),
        )
        if config.oidc
        else None
    )
    return lambda token: (
        keyring.principal(token)
        if tokens is None or token.startswith("cm_")
        else tokens.principal(token)
    )
