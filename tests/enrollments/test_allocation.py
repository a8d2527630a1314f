"""The allocation of seats and waitlist positions: pure functions, no database."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import pytest

from course_management.courses.refusals import (
    CourseFull,
    EnrollmentRefused,
    WaitlistFull,
)
from course_management.enrollments import allocation
from course_management.enrollments.models import ENROLLED, WAITLISTED

ADA, BEN, CYD = 11, 12, 13
UNLIMITED = None


class Outcome(NamedTuple):
    """The result of `allocate`, under the names that these tests use."""

    added: list[tuple[int, int]] = []
    already_enrolled: list[tuple[int, int]] = []
    newly_waitlisted: dict[tuple[int, int], int] = {}
    waitlisted: list[tuple[int, int]] = []


def seats(
    course_id=1, capacity=UNLIMITED, taken=0, waitlist_capacity=UNLIMITED, waiting=0, next_ticket=1
):
    """The seats and the waitlist of a course."""
    return allocation.Seats(
        course_id,
        capacity,
        None if capacity is UNLIMITED else taken,
        waitlist_capacity,
        waiting,
        next_ticket,
    )


def allocate(courses, wanted, *, waitlist=False, existing=None):
    """Allocate the pairs of (student, course) in `wanted`; `existing` has the states before."""
    result, refused = allocation.allocate(
        {course.id: course for course in courses}, existing or {}, wanted, waitlist=waitlist
    )
    if refused:
        raise allocation.refusal(refused)
    return Outcome(
        result.added, result.already_enrolled, result.newly_waitlisted, result.waitlisted
    )


def refusals(error, courses, wanted, *, waitlist=False, existing=None):
    """The texts and numbers of each course in `error`, in order."""
    with pytest.raises(EnrollmentRefused) as caught:
        allocate(courses, wanted, waitlist=waitlist, existing=existing)
    assert type(caught.value) is error
    return [
        (one.pair, one.waitlist_open, one.seats_free, one.asked, detail)
        for one in caught.value.refusals
        for _, detail in one.reasons
    ]


def test_a_free_seat_is_taken():
    logic = seats(capacity=2, taken=1)
    assert allocate([logic], [(ADA, 1)]) == Outcome(added=[(ADA, 1)])
    assert (logic.seats_taken, logic.free, logic.waitlisted) == (2, 0, 0)


def test_a_request_for_nothing_changes_nothing():
    logic = seats(capacity=1)
    assert allocate([logic], []) == Outcome()
    assert logic == seats(capacity=1)


def test_an_unlimited_course_enrolls_everybody_and_counts_nobody():
    logic = seats(capacity=UNLIMITED)
    wanted = [(student, 1) for student in range(1, 200)]
    for waitlist in (False, True):
        assert allocate([logic], wanted, waitlist=waitlist) == Outcome(added=wanted)
    assert (logic.seats_taken, logic.free, logic.waitlisted) == (None, None, 0)


def test_a_free_seat_is_preferred_to_the_waitlist():
    logic = seats(capacity=1)
    assert allocate([logic], [(ADA, 1)], waitlist=True) == Outcome(added=[(ADA, 1)])
    assert (logic.seats_taken, logic.waitlisted, logic.next_ticket) == (1, 0, 1)


def test_seats_go_in_the_order_of_the_request_and_the_rest_join_the_waitlist():
    logic = seats(capacity=3, taken=2, waiting=4, next_ticket=9)
    assert allocate([logic], [(CYD, 1), (ADA, 1), (BEN, 1)], waitlist=True) == Outcome(
        added=[(CYD, 1)],
        newly_waitlisted={(ADA, 1): 9, (BEN, 1): 10},
        waitlisted=[(ADA, 1), (BEN, 1)],
    )
    assert (logic.seats_taken, logic.waitlisted, logic.next_ticket) == (3, 6, 11)


def test_each_course_counts_its_own_seats_and_tickets():
    logic, chess, art = (
        seats(1, capacity=1, taken=1, next_ticket=5),
        seats(2, capacity=1),
        seats(3, capacity=0, next_ticket=8),
    )
    result = allocate([logic, chess, art], [(ADA, 3), (ADA, 2), (ADA, 1)], waitlist=True)
    assert result == Outcome(
        added=[(ADA, 2)],
        newly_waitlisted={(ADA, 3): 8, (ADA, 1): 5},
        waitlisted=[(ADA, 3), (ADA, 1)],
    )
    assert [course.seats_taken for course in (logic, chess, art)] == [1, 1, 0]
    assert [course.waitlisted for course in (logic, chess, art)] == [1, 0, 1]


@pytest.mark.parametrize("waitlist", [False, True])
@pytest.mark.parametrize("taken", [0, 2])
def test_an_enrolled_student_keeps_the_seat_in_a_full_course_too(taken, waitlist):
    logic = seats(capacity=2, taken=taken)
    result = allocate([logic], [(ADA, 1)], existing={(ADA, 1): ENROLLED}, waitlist=waitlist)
    assert result == Outcome(already_enrolled=[(ADA, 1)])
    assert logic == seats(capacity=2, taken=taken)


def test_a_waitlisted_student_keeps_the_position_even_where_the_waitlist_is_full():
    logic = seats(capacity=1, taken=1, waitlist_capacity=1, waiting=1, next_ticket=4)
    result = allocate([logic], [(ADA, 1)], existing={(ADA, 1): WAITLISTED}, waitlist=True)
    assert result == Outcome(waitlisted=[(ADA, 1)])
    assert (logic.waitlisted, logic.next_ticket) == (1, 4)


def test_a_waitlisted_student_does_not_overtake_by_asking_again():
    """A seat that is free while students wait belongs to the first of them, not to this request."""
    logic = seats(capacity=2, taken=1, waiting=2, next_ticket=3)
    result = allocate([logic], [(ADA, 1)], existing={(ADA, 1): WAITLISTED}, waitlist=True)
    assert result == Outcome(waitlisted=[(ADA, 1)])
    assert logic.seats_taken == 1


def test_a_waitlisted_student_who_asks_for_a_seat_only_is_refused():
    course = seats(capacity=1, taken=1, waiting=1)
    assert refusals(CourseFull, [course], [(ADA, 1)], existing={(ADA, 1): WAITLISTED}) == [
        ((ADA, 1), True, 0, 1, "Every seat in course 1 is taken.")
    ]


def test_a_refusal_says_that_rules_keep_a_waiting_student_from_a_free_seat():
    course = seats(capacity=3, taken=1, waiting=1)
    assert refusals(CourseFull, [course], [(ADA, 1)], existing={(ADA, 1): WAITLISTED}) == [
        ((ADA, 1), True, 2, 1, "Rules of registration block the waitlist place in course 1.")
    ]


def test_old_and_new_waitlist_positions_keep_the_order_of_the_request():
    logic = seats(capacity=1, taken=1, waiting=1, next_ticket=2)
    result = allocate(
        [logic],
        [(CYD, 1), (BEN, 1), (ADA, 1)],
        existing={(BEN, 1): WAITLISTED, (ADA, 1): ENROLLED},
        waitlist=True,
    )
    assert result == Outcome(
        already_enrolled=[(ADA, 1)],
        newly_waitlisted={(CYD, 1): 2},
        waitlisted=[(CYD, 1), (BEN, 1)],
    )


def test_a_course_of_capacity_0_refuses_and_waitlists():
    assert refusals(CourseFull, [seats(capacity=0)], [(ADA, 1)]) == [
        ((ADA, 1), True, 0, 1, "Every seat in course 1 is taken.")
    ]
    result = allocate([seats(capacity=0)], [(ADA, 1)], waitlist=True)
    assert result.newly_waitlisted == {(ADA, 1): 1}


def test_the_last_position_of_a_waitlist_is_given_and_the_next_refused():
    course = seats(capacity=0, waitlist_capacity=2, waiting=1, next_ticket=7)
    result = allocate([course], [(ADA, 1)], waitlist=True)
    assert result.newly_waitlisted == {(ADA, 1): 7}
    assert refusals(WaitlistFull, [course], [(BEN, 1)], waitlist=True) == [
        ((BEN, 1), False, 0, 1, "Every seat in course 1 is taken, and its waitlist is full.")
    ]


SEVERAL = [(ADA, 1), (BEN, 1), (CYD, 1)]
NO_SEAT = "Every seat in course 1 is taken."
ASKED = "and 3 were asked for."


@pytest.mark.parametrize(
    ("course", "first", "waitlist_open", "free", "detail"),
    [
        (seats(capacity=5, taken=5), ADA, True, 0, NO_SEAT),
        (seats(capacity=5, taken=5, waitlist_capacity=0), ADA, False, 0, NO_SEAT),
        (seats(capacity=5, taken=5, waitlist_capacity=2, waiting=2), ADA, False, 0, NO_SEAT),
        (seats(capacity=5, taken=5, waitlist_capacity=2, waiting=1), ADA, True, 0, NO_SEAT),
        (seats(capacity=5, taken=4), BEN, True, 1, f"Course 1 has 1 free seat, {ASKED}"),
        (seats(capacity=5, taken=3), CYD, True, 2, f"Course 1 has 2 free seats, {ASKED}"),
    ],
)
def test_a_full_course_says_how_many_seats_are_free(course, first, waitlist_open, free, detail):
    assert refusals(CourseFull, [replace(course)], SEVERAL) == [
        ((first, 1), waitlist_open, free, 3, detail)
    ]


@pytest.mark.parametrize(
    ("course", "first", "waitlist_open", "free", "detail"),
    [
        (
            seats(capacity=0, waitlist_capacity=0),
            *(ADA, False, 0, f"{NO_SEAT[:-1]}, and it has no waitlist."),
        ),
        (
            seats(capacity=0, waitlist_capacity=4, waiting=4),
            *(ADA, False, 0, f"{NO_SEAT[:-1]}, and its waitlist is full."),
        ),
        (
            seats(capacity=1, waitlist_capacity=0),
            *(BEN, False, 1, f"Course 1 has 1 free seat and no waitlist, {ASKED}"),
        ),
        (
            seats(capacity=2, taken=1, waitlist_capacity=4, waiting=3),
            *(CYD, True, 1, f"Course 1 has 1 free seat and 1 free waitlist position, {ASKED}"),
        ),
        (
            seats(capacity=2, waitlist_capacity=4, waiting=4),
            *(CYD, False, 2, f"Course 1 has 2 free seats and 0 free waitlist positions, {ASKED}"),
        ),
        (
            seats(capacity=0, waitlist_capacity=2),
            *(CYD, True, 0, f"Course 1 has 0 free seats and 2 free waitlist positions, {ASKED}"),
        ),
    ],
)
def test_a_full_waitlist_says_how_many_seats_and_positions_are_free(
    course, first, waitlist_open, free, detail
):
    assert refusals(WaitlistFull, [replace(course)], SEVERAL, waitlist=True) == [
        ((first, 1), waitlist_open, free, 3, detail)
    ]


def test_a_refusal_counts_only_what_the_request_asks_of_that_course():
    """Seats that students already have are not asked for again, and other courses do not count."""
    logic, chess = seats(1, capacity=3, taken=1), seats(2)
    wanted = [(ADA, 1), (ADA, 2), (BEN, 1), (BEN, 2), (CYD, 1), (14, 1)]
    assert refusals(CourseFull, [logic, chess], wanted, existing={(ADA, 1): ENROLLED}) == [
        ((14, 1), True, 2, 3, "Course 1 has 2 free seats, and 3 were asked for.")
    ]


def test_every_course_that_refuses_is_named_in_the_order_of_the_request():
    courses = [seats(1, capacity=0), seats(2, capacity=9), seats(3, capacity=4, taken=4)]
    wanted = [(ADA, 3), (ADA, 2), (ADA, 1)]
    assert [one[0] for one in refusals(CourseFull, courses, wanted)] == [(ADA, 3), (ADA, 1)]


def test_only_courses_whose_waitlist_is_full_too_are_named_where_a_waitlist_is_asked_for():
    courses = [seats(1, capacity=0), seats(2, capacity=0, waitlist_capacity=0)]
    wanted = [(ADA, 1), (ADA, 2)]
    assert [one[0] for one in refusals(WaitlistFull, courses, wanted, waitlist=True)] == [(ADA, 2)]


def test_the_error_carries_the_numbers_of_every_course_and_one_sentence():
    with pytest.raises(CourseFull) as caught:
        allocate([seats(1, capacity=0), seats(2, capacity=1, taken=1)], [(ADA, 1), (ADA, 2)])
    numbers = {"status": "open", "waitlist_open": True, "seats_free": 0, "asked": 1}
    assert caught.value.fields == {"courses": [{"id": 1, **numbers}, {"id": 2, **numbers}]}
    assert caught.value.detail.startswith(NO_SEAT)


@pytest.mark.parametrize(("given", "taken"), [((), 4), ((2,), 5), ((-1,), 2)])
def test_seats_are_taken_and_given_back(given, taken):
    course = seats(capacity=9, taken=3)
    course.take(*given)
    assert (course.seats_taken, course.free) == (taken, 9 - taken)
