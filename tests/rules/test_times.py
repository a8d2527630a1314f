"""Rules about moments and meetings: windows, deadlines, holds and time conflicts."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from course_management.rules.evaluator import WAITLIST_RULES, judge
from course_management.rules.facts import Student, Window
from course_management.rules.hold import without_details
from tests.rules.builders import (
    AFTER,
    BEFORE,
    FIRST_HALF,
    MONDAY,
    NOW,
    RULES,
    TERM,
    broken,
    course,
    hold,
    judged,
    meeting,
    override,
    places,
    seats,
)

CHICAGO = ZoneInfo("America/Chicago")


def with_windows(*windows):
    return course(term=replace(TERM, windows=windows))


@pytest.mark.parametrize(
    ("windows", "is_open"),
    [
        ([], False),
        ([Window(None, NOW, AFTER)], True),  # from the moment of opening
        ([Window(None, BEFORE, NOW)], False),  # until before the moment of closing
        ([Window("honors", BEFORE, AFTER)], True),
        ([Window("athletes", BEFORE, AFTER)], False),
        ([Window("athletes", BEFORE, AFTER), Window(None, BEFORE, AFTER)], True),
    ],
)
def test_windows_are_half_open_and_of_groups(windows, is_open):
    found = broken({}, seats(with_windows(*windows)), groups=frozenset({"honors"}))
    assert found == ([] if is_open else [("registration-not-open", 1)])


def test_the_remedy_names_the_next_opening_of_the_students_groups():
    tomorrow, later = NOW + timedelta(days=1), NOW + timedelta(days=2)
    windows = [Window("a", tomorrow, later), Window("b", later, later + timedelta(1))]
    wanted = with_windows(*windows)
    (found,) = judged({}, seats(wanted), groups=frozenset({"b"})).broken
    assert found.remedy == "Registration opens on 2026-09-03 12:00 UTC."
    assert found.facts == {
        "moment": "2026-09-01T12:00:00+00:00",
        "term": "fall",
        "opens_at": "2026-09-03T12:00:00+00:00",
    }
    (found,) = judged({}, seats(wanted)).broken
    assert (found.facts["opens_at"], "Ask the registrar" in found.remedy) == (None, True)


def test_a_window_opens_in_the_second_of_two_equal_hours():
    """Clocks in Chicago go back at 2:00. All times are of one zone, so Python ignores offsets."""
    first, second = (datetime(2026, 11, 1, 1, 30, tzinfo=CHICAGO, fold=fold) for fold in (0, 1))
    wanted = seats(with_windows(Window(None, second, second + timedelta(days=1))))
    earlier, later = first.replace(minute=40), second.replace(minute=40)
    (found,) = judged({}, wanted, moment=earlier).broken
    assert found.facts["opens_at"] == "2026-11-01T07:30:00+00:00"
    assert broken({}, wanted, moment=later) == []
    short = seats(with_windows(Window(None, first, second.replace(minute=10))))
    assert broken({}, short, moment=second.replace(minute=5)) == []
    assert broken({}, short, moment=second.replace(minute=10)) == [("registration-not-open", 1)]
    coming = Window(None, first.replace(minute=50), second.replace(minute=10))
    (found,) = judged({}, seats(with_windows(coming)), moment=earlier).broken
    assert found.facts["opens_at"] == "2026-11-01T06:50:00+00:00"


def test_drops_and_waitlists_need_no_window_but_changes_of_credits_do():
    one = with_windows()
    assert broken(seats(one), {}) == broken(places(one), {}) == []
    assert broken(places(one), seats(one)) == []
    changed = broken(seats(one), seats(one, credits_each=400))
    assert changed == [("registration-not-open", 1)]


def test_the_add_deadline_passes_at_its_moment():
    def found(until):
        return broken({}, seats(course(term=replace(TERM, add_until=until))))

    assert found(AFTER) == found(None) == []
    assert found(NOW) == found(BEFORE) == [("add-deadline-passed", 1)]


@pytest.mark.parametrize(
    ("drop_until", "withdraw_until", "outcome"),
    [
        (None, None, "drop"),
        (AFTER, None, "drop"),
        (AFTER, AFTER, "drop"),
        (NOW, AFTER, "withdrawal"),
        (NOW, NOW, "refused"),
        (NOW, None, "refused"),
        (None, NOW, "drop"),
    ],
)
def test_a_drop_between_the_deadlines_is_a_withdrawal(drop_until, withdraw_until, outcome):
    one = course(term=replace(TERM, drop_until=drop_until, withdraw_until=withdraw_until))
    found = judged(seats(one), {})
    assert [f.rule for f in found.broken] == ["drop-deadline-passed"] * (outcome == "refused")
    assert found.withdrawals == [(9, 1)] * (outcome == "withdrawal")
    left = judged(places(one), {})
    assert (left.broken, left.withdrawals) == ([], [])


def test_with_an_override_a_late_drop_is_a_plain_drop():
    one = course(term=replace(TERM, drop_until=BEFORE, withdraw_until=AFTER))
    found = judged(seats(one), {}, overrides=[override("drop-deadline-passed", term="fall")])
    assert (found.broken, found.withdrawals, found.overrides_used) == ([], [], [70])


def test_a_hold_blocks_its_acts_until_it_ends():
    one, other = course(1), course(2)
    assert broken({}, seats(one), holds=[hold()]) == [("hold", None)]
    assert broken({}, seats(one), holds=[hold(["drop"])]) == []
    assert broken(seats(one), {}, holds=[hold(["drop"])]) == [("hold", None)]
    assert broken(places(one), {}, holds=[hold()]) == []
    assert broken({}, seats(one), holds=[hold(until=NOW)]) == []
    assert broken({}, seats(one), holds=[hold(until=AFTER)]) == [("hold", None)]
    lifted = override("hold", course=1)
    assert broken({}, seats(one), holds=[hold()], overrides=[lifted]) == []
    (found,) = judged({}, seats(one, other), holds=[hold()], overrides=[lifted]).broken
    assert (found.facts["course_ids"], found.remedy) == ([2], "The bursar can release the hold.")
    assert "fee" not in str(without_details(found)).casefold()


A, B = course(1), course(2)


@pytest.mark.parametrize(
    ("one", "other", "first"),
    [
        (meeting({0}, "09:30", "10:45"), meeting({0}, "10:45", "12:00"), None),  # they touch
        (meeting({0}, "09:30", "10:46"), meeting({0}, "10:45", "12:00"), MONDAY),
        (meeting({0, 2}, "09:30", "10:45"), meeting({1, 3}, "09:30", "10:45"), None),
        (meeting({0, 2}, "09:30", "10:45"), meeting({2, 3}, "10:00", "10:01"), date(2026, 9, 9)),
        # Past midnight, from Sunday to Monday too.
        (meeting({0}, "23:00", "01:00"), meeting({1}, "00:59", "02:00"), date(2026, 9, 8)),
        (meeting({0}, "23:00", "01:00"), meeting({1}, "01:00", "02:00"), None),
        (meeting({6}, "23:00", "01:00"), meeting({0}, "00:30", "02:00"), date(2026, 9, 14)),
        (meeting({0}, "23:00", "00:00"), meeting({1}, "00:00", "01:00"), None),
        (meeting({0}, "10:00", "10:00"), meeting({1}, "09:59", "10:30"), date(2026, 9, 8)),
        # One day, and its spill into the next one.
        (
            meeting({0}, "09:00", "10:00", MONDAY, MONDAY),
            meeting({0}, "09:00", "10:00", MONDAY + timedelta(7)),
            None,
        ),
        (
            meeting({0}, "23:00", "01:00", MONDAY, MONDAY),
            meeting({1}, "00:00", "01:00", MONDAY + timedelta(1), MONDAY + timedelta(1)),
            date(2026, 9, 8),
        ),
        # Half terms: the dates share no Wednesday.
        (
            meeting({2}, "09:00", "10:00", MONDAY, MONDAY + timedelta(3)),
            meeting({2}, "09:00", "10:00", MONDAY + timedelta(3), MONDAY + timedelta(9)),
            None,
        ),
    ],
)
def test_meetings_conflict_if_they_share_a_minute_of_a_date(one, other, first):
    a, b = replace(A, meetings=(one,)), replace(B, meetings=(other,))
    for wanted in (seats(a, b), places(a, b)):
        found = judged({}, wanted).broken
        assert [(f.rule, f.course) for f in found] == [("time-conflict", 2)] * (first is not None)
    for old, new in ((a, b), (b, a)):
        found = judged(seats(old), {**seats(old), **places(new)}).broken
        assert [f.facts["first_shared_date"] for f in found] == [str(first)] * (first is not None)
        assert [f.course for f in found] == [new.id] * (first is not None)


def test_the_last_date_of_all_does_no_harm():
    last = date.max
    late = meeting(range(7), "23:00", "01:00", last, last)
    a, b = replace(A, meetings=(late,)), replace(B, meetings=(late,))
    assert broken({}, seats(a, b)) == [("time-conflict", 2)]


def test_every_pair_is_reported_except_old_ones_and_a_course_with_itself():
    at_nine = (meeting({0}, "09:00", "10:00"), meeting({0, 1}, "09:30", "10:00"))
    a, b, c = (replace(course(n), meetings=at_nine) for n in (1, 2, 3))
    found = judged({}, seats(a, b, c)).broken
    assert [(f.course, f.facts["other_course_id"]) for f in found] == [(2, 1), (3, 1), (3, 2)]
    assert found[0].facts["meetings"][0] == ["Mon 09:00-10:00", "Mon 09:00-10:00"]
    assert len(found[0].facts["meetings"]) == 4
    found = judged(seats(a, b), seats(a, b, c)).broken
    assert [f.facts["other_course_id"] for f in found] == [1, 2]
    assert broken(seats(a, b), seats(b)) == []
    for number in (1, 2):  # an override for either course
        lifted = [override("time-conflict", course=number)]
        assert broken({}, seats(a, b), overrides=lifted) == []


def test_waitlist_positions_are_judged_again_without_windows_and_deadlines():
    late = course(term=replace(TERM, windows=(), add_until=BEFORE))
    student = Student(9, holds=[hold()], after=places(late))
    options = {"moment": NOW, "settings": RULES}
    assert len(judge([student], **options).broken) == 3
    again = judge([student], **options, rules=WAITLIST_RULES)
    assert [one.rule for one in again.broken] == ["hold"]


def test_a_part_has_its_own_deadlines_and_the_overrides_of_its_whole_term():
    half = course(term=replace(FIRST_HALF, add_until=BEFORE))
    assert broken({}, seats(half, course(2))) == [("add-deadline-passed", 1)]
    for term, found in (("fall-a", []), ("fall", []), ("fall-b", [("add-deadline-passed", 1)])):
        lifted = [override("add-deadline-passed", term=term)]
        assert broken({}, seats(half), overrides=lifted) == found
