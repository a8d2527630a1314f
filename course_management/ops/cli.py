"""The commands for operators: `flask --app wsgi check`, `audit`, `load-demo`, `forget-keys`,
`tick`, `api-keys`.

`init_app` registers them. Each one opens its own transaction.
"""

from __future__ import annotations

import sys
import time

import click
from flask import Flask, current_app
from sqlalchemy.exc import DBAPIError

from course_management.core.api import API_PREFIX
from course_management.core.principal import ADMIN, Principal, granted
from course_management.db import integrity
from course_management.db.base import now
from course_management.db.transaction import transaction
from course_management.ops import demo, demo_term, health, tick
from course_management.ops.audit import audit as find_violations
from course_management.ops.audit import record
from course_management.ops.command import command
from course_management.ops.demo_school import DEPARTMENT, MAX_EACH, School
from course_management.ops.key_commands import api_keys
from course_management.ops.rows import CannotLoad
from course_management.ops.rules_audit import audit_rules
from course_management.telemetry.logs import log
from course_management.web import access, idempotency

OPERATOR = Principal("cli", granted([ADMIN]))
LISTS = (  # the routes that `check` requests
    "/courses",
    "/students",
    "/courses/{course}/students",
    "/students/{student_id}/courses",
    "/courses/{course}/history",
    "/students/{student_id}/history",
)


@command("check")
def check() -> None:
    """Check that this release can serve: the checks of /health/ready, then a request to every list.

    Exits with status 1 if a check fails.
    """
    checks = health.readiness()
    log.setLevel("ERROR")  # the results are shown here, so the log need not repeat them
    results = [(name, found["ok"], found["detail"]) for name, found in checks.items()]
    results += _request_lists()
    for name, ok, detail in results:
        click.echo(f"{'ok  ' if ok else 'FAIL'} {name}: {detail}")
    if not all(ok for _, ok, _ in results):
        sys.exit(1)


def _request_lists() -> list[tuple[str, bool, str]]:
    """Request the first row of each list; returns the name, the success and the time of each."""
    client = current_app.test_client()
    ids = {"course": 1, "student_id": 1}
    results = []
    for route in LISTS:
        began = time.perf_counter()
        answer = client.get(
            API_PREFIX + route.format(**ids),
            query_string={"limit": 1},
            environ_overrides={access.PRINCIPAL_KEY: OPERATOR},
        )
        took = f"{answer.status_code} in {(time.perf_counter() - began) * 1000:.0f} ms"
        if answer.status_code == 200 and answer.json and "{" not in route:
            ids["course" if route == "/courses" else "student_id"] = answer.json[0]["id"]
        # 404 is right for the lists of a student or a course if the database is empty.
        ok = answer.status_code == 200 or (answer.status_code == 404 and "{" in route)
        results.append((f"GET {route}", ok, took))
    return results


@command("audit")
def audit() -> None:
    """Check every invariant of seats, waitlists and events against the rows, and the courses of
    every student against the rules of registration.

    Broken rules that have an explanation are notes. Stores its result for /metrics and changes
    nothing else. Exits with status 1 if an invariant or a rule is violated.
    """
    began = time.perf_counter()
    with transaction(writing=False, snapshot=True, no_timeout=True) as session:
        findings = find_violations(session)
        rules = audit_rules(session.connection(), current_app.config["RULES"], now())
    findings += rules.findings()
    for finding in findings:
        click.echo(
            f"{'FAIL' if finding.count else 'ok  '} {finding.name}"
            + (f": {finding.count}" if finding.count else "")
        )
        for example in finding.examples:
            click.echo(f"       {example}")
    for line in rules.lines():
        click.echo(line)
    try:
        with transaction(writing=True) as session:
            record(session, findings, time.perf_counter() - began)
    except DBAPIError as error:
        if not integrity.is_read_only(error):
            raise
        click.echo(
            "This database accepts no writes: the result is not recorded for /metrics.",
            err=True,
        )
    if any(finding.count for finding in findings):
        sys.exit(1)


@command("load-demo")
@click.option(
    "--students",
    type=click.IntRange(1, 10_000_000),
    default=1000,
    show_default=True,
    help="Number of students.",
)
@click.option(
    "--courses",
    type=click.IntRange(2, 1_000_000),
    default=100,
    show_default=True,
    help="Number of courses.",
)
@click.option(
    "--each",
    type=click.IntRange(0, 100),
    default=5,
    show_default=True,
    help="Number of courses that each student takes.",
)
@click.option(
    "--term",
    is_flag=True,
    help="Make a school with a term: calendar, windows, catalog, records. Its rules apply.",
)
def load_demo(students: int, courses: int, each: int, term: bool) -> None:
    """Fill the database with plausible students, courses and enrollments."""
    if fault := _fault_of_demo(courses, each, term):
        raise click.BadParameter(fault, param_hint="--each")
    count = demo_term.count_rows(students, each) if term else students * (1 + 2 * each)
    with click.progressbar(length=courses + count, label="Loading", file=sys.stderr) as bar:
        try:
            with transaction(writing=True, no_timeout=True) as session:
                if term:
                    demo_term.load(session, students, School(courses, each), bar.update)
                else:
                    demo.load(session, students, courses, each, bar.update)
        except CannotLoad as error:
            raise click.ClickException(str(error)) from None
    with transaction(writing=True, no_timeout=True) as session:
        demo.analyze(session)
    click.echo(f"{students} students, {courses} courses, {students * each} enrollments.")


def _fault_of_demo(courses: int, each: int, term: bool) -> str | None:
    """Why students cannot take `each` of so many courses; None if they can."""
    if term and each > min(MAX_EACH, courses // DEPARTMENT):
        return f"must be at most {MAX_EACH} and COURSES / {DEPARTMENT} with --term."
    if each > courses // 2:
        return "must be at most COURSES / 2: students take courses of the first half only."
    return None


@command("forget-keys")
def forget_keys() -> None:
    """Delete the idempotency keys older than 24 hours. Run it daily."""
    with transaction(writing=True, no_timeout=True) as session:
        count = idempotency.forget_old(session)
    click.echo(f"Keys removed: {count}.")


@command("tick")
@click.option(
    "--every",
    type=click.FloatRange(0.1, 86_400),
    help="Do it again after each so many seconds, and log it. Needs --parent.",
)
@click.option("--parent", type=int, help="The process that starts it: end when that has ended.")
def do_tick(every: float | None, parent: int | None) -> None:
    """Judge and end waitlist places, finish what was interrupted. Run it every minute."""
    if (every is None) != (parent is None):
        raise click.UsageError("--every and --parent belong together.")
    if every is not None and parent is not None:
        tick.run_every(every, parent)
    else:
        click.echo(" ".join(f"{name}: {number}." for name, number in tick.run().items()))


def init_app(app: Flask) -> None:
    """Register the commands with `app`."""
    for one in (check, audit, load_demo, forget_keys, do_tick, api_keys):
        app.cli.add_command(one)
