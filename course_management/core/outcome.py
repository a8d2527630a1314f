"""What a write does to enrollments and courses. Its digest is the plan of the write."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

# Key of a session's info: the Outcome that collects what the transaction does, if somebody asked.
OUTCOME = "outcome"


class CourseAfterwards(Protocol):
    """A course as the write leaves it."""

    id: int
    status: str
    capacity: int | None
    waitlist_capacity: int | None


@dataclass
class Outcome:
    """The moves of a write, and the courses that it locked. It has no ids of new rows, no tickets
    and no times, so that a repeated write has an equal outcome.
    """

    moves: list[tuple[int, int, str | None, str | None, str]] = field(default_factory=list)
    courses: dict[int, CourseAfterwards] = field(default_factory=dict)

    def add(self, events: Iterable[Mapping[str, Any]], courses: Iterable[CourseAfterwards]) -> None:
        """Add the changes of enrollments, and the courses in which they happened."""
        names = ("student_id", "course_id", "from_state", "to_state", "why")
        self.moves += [tuple(event[name] for name in names) for event in events]
        self.courses |= {course.id: course for course in courses}

    def document(self) -> dict[str, Any]:
        """The outcome as JSON, sorted."""
        names = ("student_id", "course_id", "from", "to", "why")
        moves = sorted(self.moves, key=lambda move: (*move[:2], str(move[2]), str(move[3])))
        fields = ("id", "status", "capacity", "waitlist_capacity")
        return {
            "moves": [dict(zip(names, move, strict=True)) for move in moves],
            "courses": [
                {name: getattr(self.courses[i], name) for name in fields}
                for i in sorted(self.courses)
            ],
        }

    def digest(self) -> str:
        """The plan: equal for equal outcomes."""
        return hashlib.sha256(repr(self.document()).encode()).hexdigest()[:32]
