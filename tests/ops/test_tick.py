"""`flask --app wsgi tick`. tests/registrar/test_cancel.py tests what it does to cancelled courses."""

from __future__ import annotations

import sqlalchemy as sa

from course_management.db.transaction import transaction
from course_management.history.recorder import events


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
    assert again.output == "Courses emptied: 0. Reasons cleared: 0.\n"
