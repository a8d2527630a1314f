"""Finds the minutes that two meetings share, by arithmetic of weekdays and dates."""

from __future__ import annotations

from datetime import date

from course_management.rules.facts import Meeting

MINUTES = 24 * 60
_LAST_DAY = date.max.toordinal()

# Minutes from and until before, a bit for each weekday (Monday is 1), the first and the last date
# as ordinals (`date.toordinal`).
Segment = tuple[int, int, int, int, int]


def segments(meeting: Meeting) -> tuple[Segment, ...]:
    """A meeting as segments, none of which passes midnight."""
    days = sum(1 << day for day in meeting.days)
    first, last = meeting.first_on.toordinal(), meeting.last_on.toordinal()
    if meeting.starts < meeting.ends:
        return ((meeting.starts, meeting.ends, days, first, last),)
    evening = (meeting.starts, MINUTES, days, first, last)
    next_days = (days << 1 | days >> 6) & 0b1111111
    morning = (0, meeting.ends, next_days, first + 1, min(last + 1, _LAST_DAY))
    return (evening, morning) if meeting.ends else (evening,)


def first_shared_date(one: Meeting, other: Meeting) -> date | None:
    """The first date on which two meetings share a minute, in wall time; None if they share none.

    Meetings that touch share no minute.
    """
    if one.starts < one.ends and other.starts < other.ends:  # neither passes midnight
        if one.ends <= other.starts or other.ends <= one.starts:
            return None
        if one.days.isdisjoint(other.days):
            return None
    found = [
        day
        for mine in segments(one)
        for its in segments(other)
        if mine[0] < its[1] and its[0] < mine[1] and (day := _shared_day(mine, its))
    ]
    return date.fromordinal(min(found)) if found else None


def _shared_day(one: Segment, other: Segment) -> int | None:
    """The first day, as an ordinal, of two segments that share a time of the day."""
    days = one[2] & other[2]
    if not days:
        return None
    first, last = max(one[3], other[3]), min(one[4], other[4])
    # The ordinal 1 is a Monday. All weekdays are in the first seven days.
    for day in range(first, min(last, first + 6) + 1):
        if days >> (day + 6) % 7 & 1:
            return day
    return None
