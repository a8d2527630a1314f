"""The typed objects between views and services of the registrar's acts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class MoveRequest:
    """A request to move students to the course `to`: those of `student_ids`, or everybody if that
    is None.

    With `extend`, the capacities of that course grow by what is missing.
    """

    to: int
    student_ids: Sequence[int] | None
    extend: bool = False
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class CancelResult:
    """The ids of the students who had a seat, and of those who waited, in their order."""

    course_id: int
    status: str
    removed: list[int]
    waitlisted: list[int]


@dataclass(slots=True)
class Arrivals:
    """The result of a move or a reinstatement: the ids of students with a new seat, with a seat or
    position that they had before, and with a new waitlist position.

    The capacities are those of the course that takes them.
    """

    course_id: int
    to: int
    added: list[int] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)
    waitlisted: list[int] = field(default_factory=list)
    capacity: int | None = None
    waitlist_capacity: int | None = None
