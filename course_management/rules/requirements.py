"""Judges an expression against the facts about one student.

`expressions.py` has the notation. `wording.py` says in English what is missing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from course_management.core import text
from course_management.rules.expressions import Expression
from course_management.rules.facts import IN_PROGRESS, Completion, Course, Held, Settings
from course_management.rules.record import Record

# How far a condition is met, from the worst to the best. UNVERIFIED is met with a warning: only a
# text meets the condition, which nobody has checked. PROVISIONAL is met while a course goes on.
NOT_MET, UNVERIFIED, PROVISIONAL, MET = range(4)

key = lru_cache(maxsize=8192)(text.key)


@dataclass(slots=True)
class Situation:
    """The facts that a condition of `course` is judged by. `held` is the set of enrollments.

    `assumed` is for questions of the kind "is this unmet because of its corequisites?": with True,
    all concurrent leaves count as met; with False, all others do.
    """

    course: Course
    groups: frozenset[str]
    record: Record
    held: Collection[Held]
    settings: Settings
    assumed: bool | None = None


def level(node: Expression, now: Situation) -> int:
    """How far an expression without faults is met: NOT_MET, UNVERIFIED, PROVISIONAL or MET."""
    if "course" in node:
        return _course(node, now)
    if "all" in node:
        return _lowest(node["all"], now)
    if "any" in node:
        return _highest(node["any"], now)
    if "at_least" in node:
        levels = sorted((level(one, now) for one in node["of"]), reverse=True)
        needed: int = node["at_least"]
        return levels[needed - 1]
    if now.assumed is False:
        return MET
    if "group" in node:
        return MET if node["group"] in now.groups else NOT_MET
    if "text" in node:
        return NOT_MET if now.settings.text_refuses else UNVERIFIED
    if "course_like" in node:
        return _course_like(node, now)
    return _credits(node, now.record) if "credits" in node else _test(node, now.record)


def _lowest(nodes: Iterable[Expression], now: Situation) -> int:
    lowest = MET
    for node in nodes:
        lowest = min(lowest, level(node, now))
        if lowest == NOT_MET:  # nothing is lower
            break
    return lowest


def _highest(nodes: Sequence[Expression], now: Situation) -> int:
    highest = NOT_MET
    for node in nodes:  # the cheapest ones first
        if "group" in node and node["group"] in now.groups:
            return MET
    for node in nodes:
        highest = max(highest, level(node, now))
        if highest == MET:  # nothing is higher
            break
    return highest


def unsure(node: Expression, now: Situation) -> Iterator[tuple[Expression, int]]:
    """The leaves that make an expression PROVISIONAL or UNVERIFIED, each with its level."""
    reached = level(node, now)
    if reached not in (UNVERIFIED, PROVISIONAL):
        return
    if "all" in node:
        nested: Sequence[Expression] = node["all"]
    elif "any" in node:
        nested = [next(one for one in node["any"] if level(one, now) == reached)]
    elif "at_least" in node:
        best = sorted(node["of"], key=lambda one: -level(one, now))
        nested = best[: node["at_least"]]
    else:
        yield node, reached
        return
    for one in nested:
        yield from unsure(one, now)


def concurrent_leaves(node: Expression) -> Iterator[Expression]:
    """The leaves that a seat in the same term meets."""
    if node.get("concurrent"):
        yield node
    for name in ("all", "any", "of"):
        for one in node.get(name, ()):
            yield from concurrent_leaves(one)


def is_of(course: Course, code: str) -> bool:
    """Whether a course is of the entry with this key, or of one that is the same."""
    entry = course.entry
    return entry is not None and (entry.code == code or code in entry.same_as)


def _course(node: Expression, now: Situation) -> int:
    concurrent = bool(node.get("concurrent"))
    if now.assumed is concurrent:
        return MET
    code = key(node["course"])
    best = _best(now.record.of(code), node.get("min_grade"), now.record)
    if best == MET:
        return MET
    for held in now.held:
        if not is_of(held.course, code):
            continue
        if concurrent and held.is_seat and _is_beside(held.course, now.course):
            return MET
        if not concurrent and _is_earlier_part(held.course, now.course):
            best = PROVISIONAL
    return best


def _course_like(node: Expression, now: Situation) -> int:
    start = key(node["course_like"])[:-1]
    minimum = node.get("min_grade")
    best = _best(now.record.beginning_with(start), minimum, now.record)
    for held in now.held:
        entry = held.course.entry
        if (
            entry is not None
            and any(code.startswith(start) for code in (entry.code, *entry.same_as))
            and _is_earlier_part(held.course, now.course)
        ):
            best = max(best, PROVISIONAL)
    return best


def _best(completions: Sequence[Completion], minimum: str | None, record: Record) -> int:
    """How far these completions meet a condition that asks for one of them."""
    best = NOT_MET
    for one in completions:
        if record.is_passed(one, minimum):
            return MET
        if one.kind == IN_PROGRESS:
            best = PROVISIONAL
    return best


def _is_beside(other: Course, course: Course) -> bool:
    """Whether `other` is another course of the same whole term."""
    return other.term.whole == course.term.whole and other.id != course.id


def _is_earlier_part(other: Course, course: Course) -> bool:
    """Whether `other` is in a part of the same whole term that ends before `course` begins."""
    return (
        other.term.whole == course.term.whole
        and other.term.is_part
        and other.term.ends_on < course.term.starts_on
    )


def _credits(node: Expression, record: Record) -> int:
    needed = round(node["credits"] * 100)
    done, in_progress = record.credits()
    if done >= needed:
        return MET
    return PROVISIONAL if done + in_progress >= needed else NOT_MET


def _test(node: Expression, record: Record) -> int:
    name, minimum = key(node["test"]), node.get("min")
    for one in record.tests(name):
        if minimum is None or (one.score is not None and one.score >= round(minimum * 100)):
            return MET
    return NOT_MET
