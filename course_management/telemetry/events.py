"""The events that the service logs when a transaction commits, and the counters of some of them.

`note` (logs.py) accepts only these events. The text of an event is its message in the log.
docs/monitoring.md lists the counters.
"""

from __future__ import annotations

from enum import StrEnum


class Event(StrEnum):
    """A change that a transaction made: its message in the log, and its counter if it has one.

    `counter` is the name of the counter without the prefix `course_management_`, or None.
    `help_text` explains the counter in the output of /metrics.
    """

    counter: str | None
    help_text: str

    def __new__(cls, message: str, counter: str | None = None, help_text: str = "") -> Event:
        member = str.__new__(cls, message)
        member._value_ = message
        member.counter, member.help_text = counter, help_text
        return member

    STUDENT_CREATED = "student created"
    STUDENT_CHANGED = "student changed"
    STUDENT_DELETED = "student deleted"
    COURSE_CREATED = "course created"
    COURSE_CHANGED = "course changed"
    COURSE_DELETED = "course deleted"
    CATALOG_ENTRY_CREATED = "catalog entry created"
    CATALOG_ENTRY_CHANGED = "catalog entry changed"
    CATALOG_ENTRY_DELETED = "catalog entry deleted"
    TERM_CREATED = "term created"
    TERM_CHANGED = "term changed"
    TERM_DELETED = "term deleted"
    STUDENT_ENROLLED = (
        "student enrolled",
        "enrollments_total",
        "Seats allocated to students who asked for them.",
    )
    STUDENT_PROMOTED = (
        "student promoted",
        "promotions_total",
        "Seats allocated to the first student of a waitlist.",
    )
    STUDENT_WAITLISTED = (
        "student waitlisted",
        "waitlist_joins_total",
        "Waitlist positions allocated.",
    )
    STUDENT_DROPPED = (
        "student dropped",
        "drops_total",
        "Seats and waitlist positions given up.",
    )
    PLACE_BLOCKED = "waitlist place blocked"
    PLACE_UNBLOCKED = "waitlist place unblocked"
    COMPLETION_CREATED = "completion created"
    COMPLETION_CHANGED = "completion changed"
    COMPLETION_DELETED = "completion deleted"
    HOLD_CREATED = "hold created"
    HOLD_CHANGED = "hold changed"
    HOLD_RELEASED = "hold released"
    OVERRIDE_CREATED = "override created"
    OVERRIDE_REVOKED = "override revoked"
    API_KEY_CREATED = "api key created"
    API_KEY_ROTATED = "api key rotated"
    API_KEY_REVOKED = "api key revoked"
