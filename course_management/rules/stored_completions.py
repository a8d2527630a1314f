"""The completions of a student as the database keeps them: one JSON text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

import orjson

from course_management.rules.facts import Completion

_NONE: frozenset[str] = frozenset()
# As Completion(*values), and four times as fast.
_completion = partial(tuple.__new__, Completion)


class StoredCompletions(Sequence[Completion]):
    """A list of completions that is made from a JSON text when a rule asks for it: most rules do
    not, and a student has dozens.

    The text is a list of lists of values, in the order of the fields of `Completion`. `same_as` has
    the keys of the entries that are the same as an entry; it is symmetric.
    """

    __slots__ = ("_rows", "_same_as", "_text")

    def __init__(self, text: str, same_as: Mapping[str, frozenset[str]]) -> None:
        self._text, self._same_as = text, same_as
        self._rows: list[list[Any]] | None = None

    def may_have(self, codes: Iterable[str]) -> bool:
        """False if no completion is of an entry with one of these keys, or of the same entry."""
        for code in codes:
            for one in (code, *self._same_as.get(code, ())):
                if _quoted(one) in self._text:
                    return True
        return False

    @property
    def rows(self) -> list[list[Any]]:
        """The completions as lists of values, without `same_as`."""
        if self._rows is None:
            self._rows = orjson.loads(self._text)
        return self._rows

    def of(self, code: str) -> list[Completion]:
        """The completions of the entry with this key, and of those that are the same."""
        codes = (code, *self._same_as.get(code, ()))
        return [self._made(row) for row in self.rows if row[1] in codes]

    def tests(self, name: str) -> list[Completion]:
        """The completions of a test."""
        return [self._made(row) for row in self.rows if row[2] == name]

    def _made(self, row: list[Any]) -> Completion:
        return _completion((*row, self._same_as.get(row[1], _NONE)))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        return list(self)[index]

    def __iter__(self) -> Iterator[Completion]:
        return map(self._made, self.rows)


@lru_cache(maxsize=8192)
def _quoted(code: str) -> str:
    """A code as it is in a JSON text, with its quotes."""
    return orjson.dumps(code).decode()
