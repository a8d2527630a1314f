"""The search for students by the beginnings of words of their names (StudentWord)."""

from __future__ import annotations

import re
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles

from course_management.core import text
from course_management.db.base import Texts
from course_management.students.models import Student, StudentWord

_table = cast(sa.Table, StudentWord.__table__)
_students = cast(sa.Table, Student.__table__)
_LAST = "\U0010ffff"


def _is_found(value: sa.BindParameter[Any]) -> sa.ColumnElement[bool]:
    return sa.and_(_table.c.word >= value, _table.c.word < value.concat(_LAST))


def found_by_name(*, descending: bool) -> sa.Subquery:
    """The students of a search in the order of their names: one range of an index, sorted.

    A student may have several words that begin alike. The order is that of the list: then
    PostgreSQL reads only the students of the page, and not all to sort them.
    """
    name_key = sa.func.min(_table.c.name_key).label("name_key")
    order = [c.desc() if descending else c.asc() for c in (name_key, _table.c.student_id)]
    return (
        sa.select(_table.c.student_id, name_key)
        .where(_is_found(sa.bindparam("q", type_=_table.c.word.type)))
        .group_by(_table.c.student_id)
        .order_by(*order)
        .subquery("found")
    )


def words_of(query: str) -> dict[str, Any]:
    """The values of the filters `q` and `q_rest` for a search: the longest word, which is usually
    the rarest, and the others if there are any. Both are case-folded.
    """
    key = text.key(query)
    words = dict.fromkeys(word for word in re.split("[ -]+", key) if word)
    # No name has a word with a space or a hyphen: this finds nobody.
    longest, *rest = sorted(words or [key], key=len, reverse=True)
    return {"q": longest} | ({"q_rest": sorted(rest)} if rest else {})


def has_word(value: sa.BindParameter[Any]) -> sa.ColumnElement[bool]:
    """The condition of the filter `q`: a word of the name begins with this text.

    A range of the index. LIKE would use the index on one of the two databases only.
    """
    return _students.c.id.in_(sa.select(_table.c.student_id).where(_is_found(value)))


def has_words(values: sa.BindParameter[Any]) -> sa.ColumnElement[bool]:
    """The condition of the filter `q_rest`: with each of these texts a word of the name begins."""
    return has_all_words(values.key)


class has_all_words(  # noqa: N801 - reads as an operator
    sa.sql.expression.FunctionElement[bool]
):
    """An SQL condition: with each text of a parameter a word of the student's name begins."""

    inherit_cache = True
    type = sa.Boolean()

    def __init__(self, name: str) -> None:
        super().__init__(_students.c.id, sa.bindparam(name, type_=Texts()))


def _no_text_without_word(beginning: str, texts: str, student_id: str, last: str) -> str:
    found = (
        f"SELECT 1 FROM student_words w WHERE w.student_id = {student_id} "
        f"AND w.word >= {beginning} AND w.word < {beginning} || {last}"
    )
    return f"NOT EXISTS (SELECT 1 FROM {texts} WHERE NOT EXISTS ({found}))"


@compiles(has_all_words)
def _json_each(element: has_all_words, compiler: Any, **kw: Any) -> str:
    student_id, texts = (compiler.process(clause, **kw) for clause in element.clauses)
    return _no_text_without_word("b.value", f"json_each({texts}) b", student_id, "char(1114111)")


@compiles(has_all_words, "postgresql")
def _unnest(element: has_all_words, compiler: Any, **kw: Any) -> str:
    student_id, texts = (compiler.process(clause, **kw) for clause in element.clauses)
    return _no_text_without_word("b.value", f"unnest({texts}) b(value)", student_id, "chr(1114111)")
