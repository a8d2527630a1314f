"""The refusals of `moving.place`: every reason, with the numbers from before the request."""

from __future__ import annotations

import pytest

from course_management.courses.refusals import EnrollmentRefused
from course_management.enrollments.allocation import Seats
from course_management.registrar.moving import Arrival, place


def course(capacity, taken, waitlist_capacity, waitlisted, status="open"):
    return Seats(8, capacity, taken, waitlist_capacity, waitlisted, 99, status)


def refused(seats, arrivals, states=None, **how):
    """The codes of the refusal, and the numbers that it shows."""
    before = seats.counts, seats.limits
    arriving = [Arrival(i, state) for i, state in enumerate(arrivals, 1)]
    with pytest.raises(EnrollmentRefused) as error:
        place(seats, arriving, states or {}, extend=False, **how)
    assert (seats.counts, seats.limits) == before
    (one,) = error.value.refusals
    return [code for code, _ in one.reasons], one.seats_free, one.asked, one.waitlist_open


def test_seats_and_positions_that_lack_are_both_named():
    assert refused(course(2, 1, 0, 0), ["enrolled", "enrolled", "waitlisted"]) == (
        ["course-full", "waitlist-full"],
        *(1, 3, False),
    )


def test_a_position_that_gets_a_seat_or_room_is_asked_for_too():
    """Fails if the refusal is decided after others of the request have been placed."""
    assert refused(course(2, 1, 1, 0), ["waitlisted"] * 3) == (["waitlist-full"], 1, 3, True)


def test_the_position_that_a_seat_would_leave_is_not_free_yet():
    """Fails if the numbers are those after the student has left the waitlist."""
    waiting = {(1, 8): "waitlisted"}
    assert refused(course(1, 1, 1, 1), ["enrolled"], waiting) == (["course-full"], 0, 1, False)


def test_a_waitlist_with_room_is_no_help_for_a_seat_in_a_closed_course():
    assert refused(course(1, 1, 5, 0, "closed"), ["enrolled"]) == (
        ["course-closed", "course-full"],
        *(0, 1, False),
    )


def test_a_capacity_that_grows_is_no_second_reason():
    with pytest.raises(EnrollmentRefused) as error:
        place(course(0, 0, 0, 0, "cancelled"), [Arrival(1, "enrolled")], {}, extend=True)
    (one,) = error.value.refusals
    assert [code for code, _ in one.reasons] == ["course-cancelled"]
