"""The notation of prerequisites, corequisites and `open_to`, as JSON. `docs/rules.md` explains it.

An expression is one condition: an object with exactly one of the members in `CONDITIONS`.
`requirements.py` judges expressions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from course_management.core import text

MAX_DEPTH = 6  # levels, that of the leaf included
MAX_LEAVES = 200
MAX_CHARACTERS = 200  # of a text, a code or a group
MAX_NUMBER = 100_000  # credits and scores are below this
# Faults that are reported for the members of one object, so that the answer stays short.
_MAX_UNKNOWN = 10

Expression = Mapping[str, Any]
Fault = tuple[str, str]

# The conditions, and the members that each may have beside its own name.
OPERATORS = {"all": (), "any": (), "at_least": ("of",)}
LEAVES = {
    "course": ("min_grade", "concurrent"),
    "course_like": ("min_grade",),
    "credits": (),
    "test": ("min",),
    "group": (),
    "text": (),
}
CONDITIONS: Mapping[str, tuple[str, ...]] = {**OPERATORS, **LEAVES}
ONLY_GROUPS = (*OPERATORS, "group", "text")


def faults(data: object, *, only_groups: bool = False) -> list[Fault]:
    """Every fault of an expression: a pointer (RFC 6901) into `data` and a sentence that says how
    to fix it. No fault: an empty list.

    `data` is any JSON. With `only_groups`, as in `open_to`, the leaves are groups and texts. The
    size is checked first: no other fault of an expression that is too large is reported.
    """
    if too_large := _too_large(data):
        return [too_large]
    allowed = ONLY_GROUPS if only_groups else tuple(CONDITIONS)
    return [fault for pointer, node in _nodes(data) for fault in _faults_of(pointer, node, allowed)]


def grades_of(expression: Expression) -> list[tuple[str, str]]:
    """Every `min_grade` of an expression without faults, each with its pointer (RFC 6901)."""
    return [
        (f"{pointer}/min_grade", node["min_grade"])
        for pointer, node in _nodes(expression)
        if "min_grade" in node
    ]


def codes_of(expression: Expression) -> Iterator[str]:
    """Every catalog code that an expression without faults names with `course`, as written there,
    each once. `core.text.key` folds it.
    """
    codes = {text.key(n["course"]): n["course"] for _, n in _nodes(expression) if "course" in n}
    yield from codes.values()


def children(node: Expression) -> tuple[str, list[Any]] | None:
    """The member that lists the conditions of an operator, and the list. None for a leaf."""
    for name in ("all", "any", "of"):
        if isinstance(nested := node.get(name), list):
            return name, nested
    return None


def _nodes(data: Any) -> Iterator[tuple[str, Any]]:
    """Every condition of an expression that is not too large, with its pointer, in their order."""
    waiting = [("", data)]
    while waiting:
        pointer, node = waiting.pop()
        yield pointer, node
        if isinstance(node, Mapping) and (found := children(node)):
            name, nested = found
            waiting += [(f"{pointer}/{name}/{i}", n) for i, n in enumerate(nested)][::-1]


def _too_large(data: Any) -> Fault | None:
    """The fault of an expression that is too deep or has too many leaves. It looks at no more
    conditions than these limits allow.
    """
    level, pending, leaves = 1, [data], 0
    while pending:
        if level > MAX_DEPTH:
            return "", f"Must have at most {MAX_DEPTH} levels: nest fewer conditions."
        deeper: list[Any] = []
        for node in pending:
            found = children(node) if isinstance(node, Mapping) else None
            nested = found[1] if found else []
            leaves += not nested
            if leaves + len(deeper) + len(nested) > MAX_LEAVES:
                return "", f"Must have at most {MAX_LEAVES} conditions: use fewer of them."
            deeper += nested
        level, pending = level + 1, deeper
    return None


def _faults_of(pointer: str, node: Any, allowed: tuple[str, ...]) -> Iterator[Fault]:
    """The faults of one condition, without those of the conditions that it lists."""
    if not isinstance(node, Mapping):
        yield pointer, 'Must be an object such as {"course": "CS 225"}.'
        return
    names = [name for name in CONDITIONS if name in node]
    if len(names) != 1:
        said = "only one" if names else "one"
        yield pointer, f"Must have {said} of these members: {', '.join(allowed)}."
        return
    name = names[0]
    if name not in allowed:
        yield f"{pointer}/{name}", f"Must be one of these conditions here: {', '.join(allowed)}."
        return
    unknown = [member for member in node if member != name and member not in CONDITIONS[name]]
    for member in unknown[:_MAX_UNKNOWN]:
        where = f"{pointer}/{_escaped(member)}" if len(member) <= MAX_CHARACTERS else pointer
        known = " and ".join(f'"{one}"' for one in (name, *CONDITIONS[name]))
        yield where, f"Must be removed: this condition can have only {known}."
    if name == "at_least":
        yield from _faults_of_at_least(pointer, node)
    elif name in OPERATORS:
        yield from _faults_of_list(f"{pointer}/{name}", node[name])
    else:
        for member in (name, *CONDITIONS[name]):
            if member in node and (sentence := _fault_of_value(member, node[member])):
                yield f"{pointer}/{member}", sentence


def _escaped(member: str) -> str:
    """A member of a pointer (RFC 6901, section 3)."""
    return member.replace("~", "~0").replace("/", "~1")


def _faults_of_list(pointer: str, value: object) -> Iterator[Fault]:
    if not isinstance(value, list) or not value:
        yield pointer, "Must be a list of at least one condition."


def _faults_of_at_least(pointer: str, node: Expression) -> Iterator[Fault]:
    number, nested = node["at_least"], node.get("of")
    yield from _faults_of_list(f"{pointer}/of", nested)
    most = len(nested) if isinstance(nested, list) and nested else None
    if isinstance(number, bool) or not isinstance(number, int):
        yield f"{pointer}/at_least", "Must be a whole number."
    elif number < 1 or (most is not None and number > most):
        end = f"from 1 to {most}, the number of conditions in of" if most else "of at least 1"
        yield f"{pointer}/at_least", f"Must be a whole number {end}."


def _fault_of_value(member: str, value: object) -> str | None:
    """Why the value of a member of a leaf is wrong; None if it is not."""
    if member == "concurrent":
        return None if isinstance(value, bool) else "Must be true or false."
    if member in ("credits", "min"):
        return _fault_of_number(value, least=0.01 if member == "credits" else 0)
    if wrong := _fault_of_text(value):
        return wrong
    if member == "course_like" and not _is_pattern(str(value)):
        return 'Must be the beginning of a code and one "*" at the end, such as "MATH 3*".'
    return None


def _is_pattern(value: str) -> bool:
    start = value.strip()
    return len(start) > 1 and start.endswith("*") and start.count("*") == 1


def _fault_of_number(value: object, *, least: float) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "Must be a number."
    if not least <= value < MAX_NUMBER:
        return f"Must be at least {least} and below {MAX_NUMBER}."
    if abs(value * 100 - round(value * 100)) > 1e-6:
        return "Must have at most two decimals."
    return None


def _fault_of_text(value: object) -> str | None:
    if not isinstance(value, str):
        return "Must be a text."
    if len(value) > MAX_CHARACTERS:
        return f"Must have at most {MAX_CHARACTERS} characters."
    if text.has_control(value):
        return "Must not contain control characters."
    try:
        cleaned = text.clean(value)
    except ValueError as error:
        return str(error)
    return "Must not be blank." if text.is_blank(cleaned) else None
