"""The facts that the rules judge. Whoever calls the rules reads these facts first.

Credits and scores are whole numbers of hundredths (300 is 3 credits). Codes of catalog entries,
terms and tests are keys: `core.text.key` has folded their case. Times are timezone-aware. Meetings
are in the wall time of the term: a date, and minutes since midnight.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from types import MappingProxyType
from typing import Any, NamedTuple

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
# The kinds of a completion. Courses, transfers and tests are done; the others are attempts.
COURSE, TRANSFER, TEST, IN_PROGRESS, WITHDRAWN = KINDS = (
    *("course", "transfer", "test"),
    *("in-progress", "withdrawn"),
)


@dataclass(frozen=True, slots=True)
class Window:
    """From `opens_at` until before `closes_at`, students of `group` (None: all) may add courses."""

    group: str | None
    opens_at: datetime
    closes_at: datetime


@dataclass(frozen=True, slots=True)
class Term:
    """A whole term, or a part of one.

    `whole` is the id of the whole term: that of the parent, or the term's own. A part has the
    windows and limits of its whole term, and its own deadlines where it has any. None means: no
    deadline, no limit. A deadline has passed from its moment on. Without `withdraw_until`, nobody
    can withdraw: drops are refused from `drop_until` on.
    """

    id: int
    code: str
    whole: int
    whole_code: str
    starts_on: date
    ends_on: date
    add_until: datetime | None = None
    drop_until: datetime | None = None
    withdraw_until: datetime | None = None
    min_credits: int | None = None
    max_credits: int | None = None
    max_courses: int | None = None
    windows: tuple[Window, ...] = ()
    shown: str = ""  # the code as the school writes it
    whole_shown: str = ""  # and that of the whole term

    @property
    def label(self) -> str:
        """The code in sentences."""
        return self.shown or self.code

    @property
    def whole_label(self) -> str:
        """The code of the whole term in sentences."""
        return self.whole_shown or self.whole_code

    @property
    def is_part(self) -> bool:
        """Whether this is a part of a term."""
        return self.id != self.whole


@dataclass(frozen=True, slots=True)
class Entry:
    """A catalog entry. `same_as` and `excludes` are symmetric: they also have the entries that name
    this one.
    """

    code: str  # a key
    shown: str  # the code as the school writes it
    prerequisites: Mapping[str, Any] | None = None
    same_as: frozenset[str] = frozenset()
    excludes: frozenset[str] = frozenset()
    max_attempts: int | None = None


@dataclass(frozen=True, slots=True)
class Meeting:
    """On these weekdays (0 is Monday) between two dates, from `starts` until before `ends` (minutes
    since midnight). A meeting with `ends <= starts` ends on the next day.
    """

    days: frozenset[int]
    starts: int
    ends: int
    first_on: date
    last_on: date


_DAY, _WEEK = 24 * 60, 7 * 24 * 60  # minutes


def week(meetings: Iterable[Meeting]) -> int:
    """A bit for each minute of a week, from Monday on, in which one of these meetings takes place,
    on whichever dates.
    """
    bits = 0
    for meeting in meetings:
        minutes = meeting.ends - meeting.starts
        block = (1 << (minutes if minutes > 0 else minutes + _DAY)) - 1
        for day in meeting.days:
            bits |= block << (day * _DAY + meeting.starts)
    return (bits | bits >> _WEEK) & ((1 << _WEEK) - 1)  # a Sunday night ends on Monday


@dataclass(frozen=True, slots=True)
class Course:
    """A course of a term. Courses without a term have no rules.

    `week` has a bit for each minute of a week in which the course ever meets (see `week`).
    Courses that share no bit never conflict. `concerned` is a note of the evaluator about the rules
    that the course can break.
    """

    id: int
    status: str
    term: Term
    entry: Entry | None = None
    component: str | None = None
    credits_min: int = 0
    credits_max: int = 0
    meetings: tuple[Meeting, ...] = ()
    open_to: Mapping[str, Any] | None = None
    consent: str | None = None
    contact: str | None = None
    week: int = field(init=False, repr=False, compare=False)
    concerned: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "week", week(self.meetings))


# A tuple: making one takes a third of the time, and a student has dozens of them.
class Completion(NamedTuple):
    """What a student has done, tried or begun. `entry` is the key of a catalog code; a test has
    `test` instead. `same_as` has the keys of the entries that are the same as `entry`.
    """

    kind: str
    entry: str | None = None
    test: str | None = None
    grade: str | None = None
    score: int | None = None
    credits: int = 0
    term: str | None = None  # the code of a whole term, as it was written
    same_as: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold blocks acts (`add`, `drop`) until it is released, or until `until`."""

    id: int
    code: str
    detail: str
    contact: str | None
    blocks: frozenset[str]
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Override:
    """Lifts one rule for one student, for a course, a catalog entry or a term, until `expires_at`.

    For a limit, `value` is the limit instead (credits in hundredths).
    """

    id: int
    rule: str
    course: int | None = None
    entry: str | None = None
    term: str | None = None
    value: int | None = None
    expires_at: datetime | None = None


class Held(NamedTuple):
    """An enrollment: the course, whether it is a seat or a waitlist position, and its credits."""

    course: Course
    is_seat: bool
    credits: int


_NO_COURSES: Mapping[int, Held] = MappingProxyType({})


# A tuple, as Completion: a request may have a thousand students.
class Student(NamedTuple):
    """A student, and their enrollments in courses of terms, by id of the course: as they are
    (`before`), and as the request would leave them (`after`).
    """

    id: int
    groups: frozenset[str] = frozenset()
    completions: Sequence[Completion] = ()
    holds: Sequence[Hold] = ()
    overrides: Sequence[Override] = ()
    before: Mapping[int, Held] = _NO_COURSES
    after: Mapping[int, Held] = _NO_COURSES

    def with_after(self, after: Mapping[int, Held]) -> Student:
        """This student with another set `after`; faster than `_replace`."""
        return Student(*self[:-1], after)


@dataclass(frozen=True, slots=True)
class Grades:
    """The grades of the school from the best to the worst, and how many of them pass."""

    order: tuple[str, ...]
    passing: int


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of the rules. With `text_refuses`, a condition that no machine decides (`text`)
    counts as not met; without, it is met with a warning.
    """

    grades: Grades
    text_refuses: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that a student breaks, or a warning. `course` is the id of a course, or None.

    `facts` is JSON: the numbers, codes and times behind the finding.
    """

    rule: str
    student: int
    course: int | None
    detail: str
    remedy: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    overridable: bool = True


@dataclass(slots=True)
class Judgement:
    """The result: the rules broken, the warnings, the drops that are withdrawals (student and
    course), and the ids of the overrides that were used.
    """

    broken: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)
    withdrawals: list[tuple[int, int]] = field(default_factory=list)
    overrides_used: list[int] = field(default_factory=list)
