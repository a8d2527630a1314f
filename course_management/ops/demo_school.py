"""The plan of the demo school with a term: its catalog, its courses, and what each student has done
and takes. Pure functions of numbers from 0, without a database.

The plan makes every student follow the rules. The students of one standing take the same step of
the catalog, in departments that follow each other, and have completed the steps before. Courses of
the same step in departments that follow each other meet at different times.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from course_management.ops.demo import SUBJECTS

TERM = "DEMO"  # the code of the whole term; its halves are DEMO-A and DEMO-B
STANDINGS = ("freshman", "sophomore", "junior", "senior", "graduate")
COMPLETIONS = 20  # of a student, at least
MAX_EACH = 6  # courses of a student: 18 credits
DEPARTMENT = 10  # courses of a department
# Departments with a catalog of their own. Further departments offer the same entries again.
CATALOGS = 3 * len(SUBJECTS)
GENERAL = 20  # entries without courses this term, from which students have transfers

# The whole term, or its half (A or B), in which each course of a department takes place.
PARTS = ("", "", "", "A", "B", "", "", "A", "B", "")
LECTURE, LAB, SECOND, THIRD, FOURTH, FIFTH, SIXTH, *_, INDEPENDENT = range(DEPARTMENT)
NUMBERS = (101, 101, 102, 201, 202, 301, 302, 401, 402, 499)  # of the entries
Time = tuple[tuple[str, ...], str, str]  # days, start and end
TITLES = {101: "I", 102: "II", 201: "III", 202: "IV", 301: "V", 302: "VI", 401: "VII", 402: "VIII"}
DONE = (0, 1, 2, 3, 4)  # entries of a department that a student has completed, by standing

DAY_TIMES: tuple[Time, ...] = (
    *((("mon", "wed", "fri"), f"{hour:02}:00", f"{hour:02}:50") for hour in range(8, 16)),
    *(
        (("tue", "thu"), *times)
        for times in (
            *(("08:00", "09:15"), ("09:30", "10:45"), ("11:00", "12:15")),
            *(("13:00", "14:15"), ("14:30", "15:45")),
        )
    ),
)
EVENINGS: tuple[Time, ...] = tuple(
    ((day,), "18:00", "20:30") for day in ("mon", "tue", "wed", "thu", "fri")
)


class Entry(NamedTuple):
    """A catalog entry. Credits are numbers, not hundredths."""

    code: str
    title: str
    credits: tuple[float, float]
    prerequisites: dict[str, Any] | None = None
    excludes: list[str] = []
    same_as: list[str] = []
    max_attempts: int | None = None


class Done(NamedTuple):
    """A completion: of an entry, or of a test if it has a score. Credits are hundredths."""

    code: str
    kind: str
    grade: str | None
    score: int | None
    credits: int


@dataclass(frozen=True)
class School:
    """A school whose term has `courses` courses. Each student takes `each` of them."""

    courses: int
    each: int

    @property
    def departments(self) -> int:
        """The number of departments with all their courses."""
        return self.courses // DEPARTMENT

    def first_department(self, student: int) -> int:
        """The first of the departments in which a student takes courses."""
        return student // len(STANDINGS) % (self.departments - self.each + 1)

    def takes(self, student: int) -> list[int]:
        """The courses of a student. Freshmen take lectures with labs, graduates two courses of a
        department of which one is a corequisite; others one course of each department.
        """
        kinds = _KINDS[student % len(STANDINGS)]
        first, pairs = self.first_department(student), len(kinds)
        taken = [(first + k // pairs) * DEPARTMENT + kinds[k % pairs] for k in range(self.each)]
        if taken and is_independent(student):
            taken[-1] = (first + self.each - 1) * DEPARTMENT + INDEPENDENT
        return taken

    def completions(self, student: int) -> Iterator[Done]:
        """What a student has done: the entries before those that they take, a test, and transfers,
        so that there are at least COMPLETIONS.
        """
        first, steps = self.first_department(student), DONE[student % len(STANDINGS)]
        yield Done("ALEKS", "test", None, 4000 + student % 60 * 100, 0)
        for department in range(first, first + self.each):
            codes = _CODES[department % CATALOGS]
            for step in range(steps):
                grade = "A", "B+", "B", "C"
                yield Done(codes[_ENTRIES[step]], "course", grade[(student + step) % 4], None, 300)
        missing = max(1, COMPLETIONS - 1 - self.each * steps)
        for number in range(missing):
            if number and student % 10 == 3 and number == missing - 1:
                yield Done(general(number), "withdrawn", "W", None, 300)
            else:
                yield Done(general(number), "transfer", None, None, 300)


_KINDS = ((LECTURE, LAB), (SECOND,), (THIRD,), (FOURTH,), (FIFTH, SIXTH))
_ENTRIES = (LECTURE, SECOND, THIRD, FOURTH)  # one course of each entry, by step


def is_independent(student: int) -> bool:
    """Whether a student has the consent for independent study, and takes it."""
    return student % 50 == 7


def code(department: int, number: int) -> str:
    """The code of an entry, such as "LOGIC 201"."""
    subject = SUBJECTS[department % len(SUBJECTS)]
    return f"{subject.upper()} {number + department % CATALOGS // len(SUBJECTS) * 10}"


def general(number: int) -> str:
    """The code of an entry without courses this term."""
    return f"GENERAL {101 + number}"


_CODES = tuple(
    tuple(code(department, number) for number in NUMBERS) for department in range(CATALOGS)
)


def entries(courses: int) -> Iterator[Entry]:
    """The catalog of a school with this many courses."""
    for number in range(GENERAL):
        same_as = ["GENERAL 1"] if number == 0 else []
        yield Entry(general(number), f"General Studies {number + 1}", (3, 3), same_as=same_as)
    for department in range(min(CATALOGS, -(-courses // DEPARTMENT))):
        yield from _department(department)


def _department(department: int) -> Iterator[Entry]:
    first, second, third, fourth, fifth, sixth, seventh, eighth, independent = (
        code(department, number) for number in dict.fromkeys(NUMBERS)
    )
    subject = SUBJECTS[department % len(SUBJECTS)]
    level = department % CATALOGS // len(SUBJECTS)
    title = f"{subject} {'ABC'[level]}"
    after = {"course": fourth}
    needs: dict[str, tuple[dict[str, Any] | None, list[str]]] = {
        first: (None, []),
        second: ({"course": first, "min_grade": "C"}, []),
        third: (
            {"all": [{"course": second}, {"any": [{"test": "ALEKS", "min": 60}, {"credits": 12}]}]},
            [],
        ),
        fourth: ({"course": third}, []),
        fifth: ({"all": [after, {"credits": 30}]}, []),
        sixth: ({"all": [after, {"course": fifth, "concurrent": True}]}, []),
        seventh: ({"all": [{"course_like": f"{subject.upper()} 3*"}, {"credits": 60}]}, [eighth]),
        eighth: ({"any": [{"course": sixth}, {"text": f"A portfolio in {subject}"}]}, []),
    }
    for (one, (prerequisites, excludes)), word in zip(needs.items(), TITLES.values(), strict=True):
        yield Entry(one, f"{title} {word}", (3, 3), prerequisites, excludes, max_attempts=3)
    yield Entry(independent, f"Independent Study in {title}", (1, 4))


def catalog_code(course: int) -> str:
    """The code of the entry that a course teaches."""
    return _CODES[course // DEPARTMENT % CATALOGS][course % DEPARTMENT]


def details(course: int) -> dict[str, Any]:
    """The fields of a course that only courses of terms have."""
    department, kind = divmod(course, DEPARTMENT)
    if kind == INDEPENDENT:  # arranged
        contact = f"{SUBJECTS[department % len(SUBJECTS)].lower()}@example.edu"
        return {"consent": "instructor", "contact": contact}
    if kind == LAB:
        days, starts, ends = EVENINGS[department % len(EVENINGS)]
    else:
        days, starts, ends = DAY_TIMES[(department + 5 * kind) % len(DAY_TIMES)]
    meeting: dict[str, Any] = {"days": list(days), "starts": starts, "ends": ends, "first_on": None}
    meeting |= {"last_on": None, "location": f"Hall {1 + department % 40}"}
    found: dict[str, Any] = {"meetings": [meeting]}
    if kind in (LECTURE, LAB):
        found["component"] = "lecture" if kind == LECTURE else "lab"
    if kind == LAB:
        found |= {"credits_min": 0, "credits_max": 0}
    if NUMBERS[kind] == 402:
        groups = ("standing:senior", "standing:graduate")
        found["open_to"] = {"any": [{"group": group} for group in groups]}
    return found


def credits_of(course: int) -> int:
    """The credits of an enrollment, in hundredths."""
    return {LAB: 0, INDEPENDENT: 200}.get(course % DEPARTMENT, 300)


def seats(course: int, wanted: int) -> int | None:
    """The capacity of a course that `wanted` students want; None if it has no limit.

    Some courses are full, and the last students wait.
    """
    department, kind = divmod(course, DEPARTMENT)
    if kind == INDEPENDENT:
        return None
    if kind == SECOND and department % 3 == 0 and wanted >= 10:
        return wanted * 9 // 10
    return wanted * 5 // 4 + 10


def groups(student: int) -> list[str]:
    """The groups of a student, sorted."""
    program = SUBJECTS[student // 7 % len(SUBJECTS)].lower()
    return [f"program:{program}", f"standing:{STANDINGS[student % len(STANDINGS)]}"]
