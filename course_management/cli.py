"""The commands: `flask --app wsgi check`, `audit`, `load-demo`, `forget-keys`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import wraps
from typing import Any

import click
from flask import Flask, current_app
from flask.cli import with_appcontext
from sqlalchemy.exc import DBAPIError

from course_management import constraints, demo, health
from course_management.audit import audit as recount
from course_management.logs import log
from course_management.web import idempotency
from course_management.web.responses import API
from course_management.web.transaction import transaction

LISTS = (
    "/courses",
    "/students",
    "/courses/{course}/students",
    "/students/{student_id}/courses",
    "/courses/{course}/history",
    "/students/{student_id}/history",
)


def command(name: str) -> Callable[[Callable[..., None]], click.Command]:
    """A command of the app; where the database cannot be used it ends with one line."""

    def decorate(function: Callable[..., None]) -> click.Command:
        @wraps(function)
        def run(**options: Any) -> None:
            try:
                function(**options)
            except DBAPIError as error:
                raise click.ClickException(f"The database refused: {constraints.reason(error)}") from None

        return click.command(name)(with_appcontext(run))

    return decorate


@command("check")
def check() -> None:
    """Whether this release can serve: readiness, then every list asked in-process. Exit 1 where one fails."""
    log.setLevel("ERROR")  # what is asked here is shown here
    checks = health.readiness()
    results = [(name, found["ok"], found["detail"]) for name, found in checks.items()]
    client = current_app.test_client()
    ids = {"course": 1, "student_id": 1}
    for route in LISTS:
        began = time.perf_counter()
        answer = client.get(API + route.format(**ids), query_string={"limit": 1})
        took = f"{answer.status_code} in {(time.perf_counter() - began) * 1000:.0f} ms"
        if answer.status_code == 200 and answer.json and route.count("/") == 1:
            ids["course" if route == "/courses" else "student_id"] = answer.json[0]["id"]
        # An empty database has no student and no course to ask the other lists of.
        results.append((f"GET {route}", answer.status_code == 200 or (answer.status_code == 404 and "{" in route), took))
    for name, ok, detail in results:
        click.echo(f"{'ok  ' if ok else 'FAIL'} {name}: {detail}")
    if not all(ok for _, ok, _ in results):
        sys.exit(1)


@command("audit")
def audit() -> None:
    """Recompute every invariant of seats, lines and the record from the rows; writes nothing. Exit 1 where one fails."""
    with transaction(writing=False, snapshot=True, unhurried=True) as session:
        findings = recount(session)
    for finding in findings:
        click.echo(f"{'FAIL' if finding.count else 'ok  '} {finding.name}" + (f": {finding.count}" if finding.count else ""))
        for example in finding.examples:
            click.echo(f"       {example}")
    if any(finding.count for finding in findings):
        sys.exit(1)


@command("load-demo")
@click.option("--students", type=click.IntRange(1, 10_000_000), default=1000, show_default=True, help="How many students.")
@click.option("--courses", type=click.IntRange(2, 1_000_000), default=100, show_default=True, help="How many courses.")
@click.option("--each", type=click.IntRange(0, 100), default=5, show_default=True, help="How many courses each student takes.")
def load_demo(students: int, courses: int, each: int) -> None:
    """Fill the database with plausible students, courses and enrollments."""
    if each > courses // 2:
        raise click.BadParameter("each student takes courses of the first half: at most COURSES / 2.", param_hint="--each")
    with click.progressbar(length=courses + students * (1 + 2 * each), label="Loading", file=sys.stderr) as bar:
        with transaction(writing=True, unhurried=True) as session:
            demo.load(session, students, courses, each, bar.update)
    with transaction(writing=True, unhurried=True) as session:
        demo.analyze(session)
    click.echo(f"{students} students, {courses} courses, {students * each} enrollments.")


@command("forget-keys")
def forget_keys() -> None:
    """Remove the idempotency keys older than 24 hours. Run it daily."""
    with transaction(writing=True, unhurried=True) as session:
        count = idempotency.forget_old(session)
    click.echo(f"Keys removed: {count}.")


def init_app(app: Flask) -> None:
    """Give `app` its commands."""
    for one in (check, audit, load_demo, forget_keys):
        app.cli.add_command(one)
