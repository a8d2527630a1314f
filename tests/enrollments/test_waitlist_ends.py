"""Waitlists of courses of terms end at `add_until`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from course_management.db.transaction import transaction
from course_management.terms.models import Term
from tests.enrollments.places import close_adds, counts, course, drop, full, hold, state, tick
from tests.web.problems import problem

__all__ = ["course", "full", "hold", "state", "tick"]
pytestmark = pytest.mark.usefixtures("audited")


@pytest.mark.parametrize("way", ["drop", "roster", "resize", "delete", "changes"])
def test_nobody_is_promoted_after_the_end_of_the_waitlist(client, app, full, state, way):
    """Without the end in the request, it promotes."""
    one, seated, first = full()
    close_adds(app)
    if way == "drop":
        drop(client, seated, one)
    elif way == "roster":
        client.post(f"/courses/{one}/drop", json={"student_ids": [seated]})
    elif way == "resize":
        client.patch(f"/courses/{one}", json={"capacity": 5})
    elif way == "delete":
        client.delete(f"/students/{seated}")
    else:
        client.post(f"/students/{seated}/changes", json={"drop": [one]})
    assert (state(first, one), counts(client, one)[1:]) == (None, (0, 0))
    history = client.get(f"/students/{first}/history").json
    assert (history[0]["why"], history[0]["to"]) == ("waitlist-closed", None)


def test_a_part_has_its_own_end(client, app, part, make, ask, course, full, state, tick):
    own = client.patch(f"/terms/{part['code']}", json={"add_until": "2099-01-01T00:00:00"})
    assert own.status_code == 200
    with app.app_context(), transaction(writing=True) as session:
        past = datetime.now(UTC) - timedelta(days=1)
        session.execute(sa.update(Term).where(Term.code == "2026-FA").values(add_until=past))
    one, seated, first = full(term=part["code"])
    assert "Waitlists ended: 0." in tick()
    drop(client, seated, one)
    assert state(first, one) == "enrolled"


def test_who_had_a_place_in_an_ended_waitlist_is_judged_as_new(client, app, ask, full, hold, state):
    one, seated, first = full()
    hold(first)
    drop(client, seated, one)  # the seat is free beside the blocked place
    close_adds(app)
    (said,) = client.get(f"/students/{first}/eligibility?course={one}").json
    assert [b["rule"] for b in said["broken"]] == ["hold", "add-deadline-passed"]
    for waitlist in (False, True):
        refused = ask(first, [one], waitlist=waitlist)
        assert problem(refused) == (409, "rules-broken")
        assert [b["rule"] for b in refused.json["broken"]] == ["hold", "add-deadline-passed"]
