"""`flask --app wsgi tick`; for cancelled courses see tests/registrar/test_cancel.py, and for
waitlists tests/enrollments/test_blocked_places.py.
"""

from __future__ import annotations

import os
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from course_management.db.base import now
from course_management.db.transaction import transaction
from course_management.enrollments.models import WaitlistRecheck
from course_management.enrollments.rechecks import recheck
from course_management.history.recorder import events
from course_management.ops import tick as ops_tick
from tests.enrollments.conftest import ask
from tests.enrollments.places import course, full, state, tick

__all__ = ["ask", "course", "full", "state", "tick"]


def reasons(app):
    with app.app_context(), transaction(writing=False) as session:
        return [row.reason for row in session.execute(sa.select(events).order_by(events.c.id))]


def test_reasons_about_students_whom_an_older_release_deleted_are_cleared(app, client, make):
    gone, stays = make.student()["id"], make.student()["id"]
    course = make.course()["id"]
    for student in (gone, stays):
        body = {"course_ids": [course], "reason": f"About {student}"}
        client.post(f"/students/{student}/enroll", json=body)
    # An older release deletes the student and leaves the reason.
    client.delete(f"/students/{gone}")
    with app.app_context(), transaction(writing=True) as session:
        session.execute(
            sa.update(events).where(events.c.student_id == gone).values(reason=f"About {gone}")
        )
    result = app.test_cli_runner().invoke(args=["tick"])
    assert result.exit_code == 0, result.output
    assert "Courses emptied: 0. Reasons cleared: " in result.output
    assert {one for one in reasons(app) if one} == {f"About {stays}"}
    again = app.test_cli_runner().invoke(args=["tick"])
    assert again.output == (
        "Courses emptied: 0. Reasons cleared: 0. Waitlists ended: 0. Students judged again: 0.\n"
    )


def queue(app, student, ago=timedelta(0)):
    with app.app_context(), transaction(writing=True) as session:
        session.add(WaitlistRecheck(student_id=student, due_at=now() - ago))


def queued(app):
    with app.app_context(), transaction(writing=False) as session:
        return session.scalar(sa.select(sa.func.count()).select_from(WaitlistRecheck))


def test_a_recheck_of_a_deleted_student_is_forgotten(app):
    queue(app, 999)
    assert "Students judged again: 1." in app.test_cli_runner().invoke(args=["tick"]).output
    assert queued(app) == 0


def test_metrics_show_how_long_rechecks_are_overdue(app, client):
    queue(app, 999, timedelta(hours=1))
    app.extensions.pop("figures", None)
    text = client.get("/metrics").text
    (value,) = [
        line.split()[1]
        for line in text.splitlines()
        if line.startswith("course_management_recheck_delay_seconds ")
    ]
    assert 3600 <= float(value) < 3700
    app.extensions.pop("figures", None)


def test_every_works_while_the_parent_runs_and_survives_a_lost_database(app, monkeypatch, lines):
    """The loop ends when another process has adopted this one."""
    queue(app, 999)
    run, parents, failures = ops_tick.run, iter([1, 1, 1, 2]), iter([True, False])

    def run_or_fail():
        if next(failures, False):
            raise OperationalError("SELECT", {}, Exception("gone"))
        return run()

    monkeypatch.setattr(ops_tick, "run", run_or_fail)
    monkeypatch.setattr(os, "getppid", lambda: next(parents))
    args = ["tick", "--every", "0.1", "--parent", "1"]
    result = app.test_cli_runner().invoke(args=args)
    assert result.exit_code == 0, result.output
    assert queued(app) == 0
    assert [line["event"] for line in lines()][-2:] == ["tick failed", "tick"]


def test_an_error_about_one_student_keeps_nobody_else_waiting(
    app, client, full, state, tick, lines, monkeypatch
):
    """Their row stays, so that the next run judges them again, and the alert sees them."""
    one, _, first, second = full(2)
    client.patch(f"/courses/{one}", json={"open_to": {"group": "senior"}})

    def fail_once(session, student_id, context):
        if student_id == first:
            raise ZeroDivisionError
        return recheck(session, student_id, context)

    with monkeypatch.context() as patch:
        patch.setattr(ops_tick, "recheck", fail_once)
        assert "Students judged again: 1." in tick()
    (failed,) = [line for line in lines() if line["event"] == "recheck failed"]
    assert (failed["level"], failed["student_id"]) == ("error", first)
    assert "ZeroDivisionError" in failed["traceback"]
    assert (state(first, one), state(second, one), queued(app)) == ("waitlisted", "blocked", 1)
    assert "Students judged again: 1." in tick()
    assert (state(first, one), queued(app)) == ("blocked", 0)


def test_a_lost_database_ends_the_run(app, full, client, monkeypatch):
    one, *_ = full(2)
    client.patch(f"/courses/{one}", json={"open_to": {"group": "senior"}})
    calls = []

    def fail(session, student_id, context):
        calls.append(student_id)
        raise OperationalError("SELECT", {}, Exception("gone"))

    monkeypatch.setattr(ops_tick, "recheck", fail)
    with app.app_context(), pytest.raises(OperationalError):
        ops_tick.run()
    assert (len(set(calls)), queued(app)) == (1, 2)


@pytest.mark.parametrize("args", [["--every", "30"], ["--parent", "1"]])
def test_every_and_parent_belong_together(app, args):
    assert app.test_cli_runner().invoke(args=["tick", *args]).exit_code == 2
