"""Says in English which conditions a student misses, and names courses, times and numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from course_management.rules.expressions import Expression
from course_management.rules.facts import Course
from course_management.rules.requirements import NOT_MET, Situation, level

# Alternatives that a remedy names. It counts the others.
MAX_NAMED = 5


def label(course: Course, *, start: bool = False) -> str:
    """The name of a course, such as "CS 225 (course 7)". With `start`, it begins a sentence."""
    if course.entry is not None:
        return f"{course.entry.shown} (course {course.id})"
    return f"{'C' if start else 'c'}ourse {course.id}"


def number(hundredths: int) -> int | float:
    """Credits or a score as a JSON number, such as 3 or 1.5."""
    return hundredths // 100 if hundredths % 100 == 0 else hundredths / 100


def counted(value: int | float, noun: str) -> str:
    """A number and its noun, such as "2 courses"."""
    return f"{value} {noun}{'' if value == 1 else 's'}"


def iso(moment: datetime | None) -> str | None:
    """A moment as a text (ISO 8601) in UTC."""
    return None if moment is None else moment.astimezone(UTC).isoformat()


def spoken(moment: datetime) -> str:
    """A moment for a sentence, such as "2026-11-22 14:00 UTC"."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def listed(texts: Sequence[str], word: str) -> str:
    """Texts as a list in a sentence: "a, b and c"."""
    return f"{', '.join(texts[:-1])} {word} {texts[-1]}" if len(texts) > 1 else "".join(texts)


def missing(expression: Expression, now: Situation) -> str:
    """A sentence that says what would meet an expression. Of alternatives, it names those that are
    nearest to being met.
    """
    phrase = _phrase(expression, lambda leaf: level(leaf, now))
    words = _Writer("be in").write(phrase)
    return f"{words[:1].upper()}{words[1:]}."


def condition(leaf: Expression) -> str:
    """The words for one condition, such as "complete CS 225 with at least C"."""
    return _Writer("be in").write(_Phrase(1, leaf))


def audience(expression: Expression) -> str:
    """Whom an `open_to` admits, for a sentence that begins with "students who"."""
    return _Writer("are in").write(_phrase(expression, lambda _: NOT_MET))


@dataclass(frozen=True, slots=True)
class _Phrase:
    """A condition that is not met: a leaf, or `count` of `nested`. `cost` is the number of leaves
    to meet.
    """

    cost: int
    leaf: Expression | None = None
    nested: Sequence[_Phrase] = ()
    count: int = 0


def _phrase(node: Expression, judge: Callable[[Expression], int]) -> _Phrase:
    """The phrase of an expression. Its cost is 0 if the expression is met."""
    nested = node.get("all") or node.get("any") or node.get("of")
    if nested is None:
        return _Phrase(0 if judge(node) else 1, node)
    phrases = [_phrase(one, judge) for one in nested]
    open_ones = sorted((one for one in phrases if one.cost), key=lambda one: one.cost)
    count = len(nested) if "all" in node else node.get("at_least", 1)
    count -= len(phrases) - len(open_ones)
    if count <= 0:
        return _Phrase(0)
    cost = sum(one.cost for one in open_ones[:count])
    if len(open_ones) == 1:
        return open_ones[0]
    if count == 1:
        open_ones = [one for one in open_ones if one.cost == cost]
    elif count == len(open_ones):  # as the school wrote them
        open_ones = [one for one in phrases if one.cost]
    return _Phrase(cost, None, open_ones, count)


class _Writer:
    """Writes a phrase. A verb that is the same as the one before is left out."""

    def __init__(self, group_verb: str) -> None:
        self.group_verb = group_verb
        self.verb = ""

    def write(self, phrase: _Phrase, depth: int = 0) -> str:
        """The words for a phrase, without a full stop."""
        if phrase.leaf is not None:
            return self._leaf(phrase.leaf)
        nested, count = phrase.nested, phrase.count
        some = nested if count == len(nested) else nested[:MAX_NAMED]
        before = ""
        if 1 < count < len(nested):
            before, self.verb = f"do {count} of these: ", ""
        texts = [self.write(one, depth + 1) for one in some]
        if others := len(nested) - len(some):
            texts.append(f"{others} other{'' if others == 1 else 's'}")
        word = "and" if count == len(nested) else "or"
        if word == "or" and not depth and not before:
            return f"{', '.join(texts[:-1])}, or {texts[-1]}"
        words = before + listed(texts, word)
        return words if depth == 0 or (depth == 1 and word == "and") else f"({words})"

    def _leaf(self, leaf: Expression) -> str:
        verb, words = self._leaf_words(leaf)
        if verb == self.verb:
            return words
        self.verb = verb
        return f"{verb} {words}"

    def _leaf_words(self, leaf: Expression) -> tuple[str, str]:
        """The verb and the words of a leaf."""
        grade = f" with at least {leaf['min_grade']}" if "min_grade" in leaf else ""
        if leaf.get("concurrent"):
            return "add", f"{leaf['course']} in the same request"
        if "course" in leaf:
            return "complete", f"{leaf['course']}{grade}"
        if "course_like" in leaf:
            return "complete", f"a course such as {leaf['course_like']}{grade}"
        if "credits" in leaf:
            return "earn", counted(leaf["credits"], "credit")
        if "test" in leaf:
            least = f"at least {leaf['min']} in " if "min" in leaf else "any result in "
            return "reach", f"{least}{leaf['test']}"
        if "group" in leaf:
            return self.group_verb, f"the group {leaf['group']}"
        return "meet", f"the condition “{leaf['text']}”"
