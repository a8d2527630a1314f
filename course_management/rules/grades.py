"""The grades of the school, from the setting GRADES."""

from __future__ import annotations

from course_management.core import text
from course_management.rules.facts import Grades

DEFAULT_GRADES = "A+,A,A-,B+,B,B-,C+,C,C-,D+,D,D-,P,CR|F,NP,NC,W,I"
_MAX_CHARACTERS = 10
_FORM = (
    "must be the passing grades from best to worst, a bar, and the other grades, such as A,B,C|F"
)


def parse_grades(value: str) -> Grades:
    """The grades that a text lists from best to worst, separated by commas. A bar stands after the
    passing ones.

    Raises ValueError; its message continues the name of the setting.
    """
    parts = [[text.clean(grade) for grade in part.split(",")] for part in value.split("|")]
    if len(parts) != 2 or not all(parts[0]):
        raise ValueError(f"{_FORM}, not {value!r}.")
    passing, failing = parts
    order = [*passing, *([] if failing == [""] else failing)]
    for grade in order:
        if text.is_blank(grade) or text.has_control(grade) or len(grade) > _MAX_CHARACTERS:
            raise ValueError(
                f"contains {grade!r}: a grade must have 1 to {_MAX_CHARACTERS} visible characters."
            )
        if order.count(grade) > 1:
            raise ValueError(f"names {grade!r} twice.")
    return Grades(tuple(order), len(passing))


GRADES_BY_DEFAULT = parse_grades(DEFAULT_GRADES)
