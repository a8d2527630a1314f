"""The typed objects between views and services of the registrar's acts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from course_management.enrollments.refusals import MAX_BROKEN, render_finding
from course_management.rules.facts import Finding


@dataclass(frozen=True, slots=True)
class MoveRequest:
    """A request to move students to the course `to`: those of `student_ids`, or everybody if that
    is None.

    With `extend`, the capacities of that course grow by what is missing. `external_ids` name the
    students if the body has no ids: the view then sets the ids.
    """

    to: int
    student_ids: Sequence[int] | None
    extend: bool = False
    reason: str | None = None
    external_ids: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Marked:
    """A course that was made cancelled. It `may_have_rules` unless it has no term."""

    course_id: int
    may_have_rules: bool


@dataclass(slots=True, kw_only=True)
class ActResult:
    """What an act breaks, as in responses: at most MAX_BROKEN warnings, and how many there are.
    None if there are none.
    """

    warnings: list[dict[str, Any]] | None = None
    warnings_count: int | None = None

    def warn(self, findings: Sequence[Finding]) -> None:
        """Add warnings."""
        if findings:
            self.warnings = [render_finding(one) for one in findings[:MAX_BROKEN]]
            self.warnings_count = len(findings)


@dataclass(slots=True)
class CancelResult(ActResult):
    """The ids of the students who had a seat, and of those who waited, in their order."""

    course_id: int
    status: str
    removed: list[int]
    waitlisted: list[int]


@dataclass(slots=True)
class Arrivals(ActResult):
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
