"""Rules for texts: trimming, NFC, blanks, control characters, and the key that ignores case."""

from __future__ import annotations

import unicodedata

# Characters of a text before normalisation: about four times as many as the longest field has. NFC
# never shortens a text to less than a quarter.
MAX_CHARACTERS = 1024
# Combining marks in a row (Unicode Standard Annex #15, section 13: Stream-Safe Text Format).
MAX_COMBINING_MARKS = 30

# Letters, symbols and marks that are invisible although their category suggests otherwise
# (Unicode's Default_Ignorable_Code_Point, and the blank Braille pattern).
_INVISIBLE = frozenset(
    [
        *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0),
        *(*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)),
    ]
)

# Format characters and spaces. Unassigned characters (Cn) are left out: a newer Unicode version
# than Python's may define them as visible.
_INVISIBLE_CATEGORIES = frozenset({"Cf", "Zs", "Zl", "Zp"})

# Three letters that normalisation turns into combining marks.
_LETTERS_THAT_BECOME_MARKS = frozenset("\u0f73\u0f75\u0f81")


class TooLong(ValueError):
    """A text has more than MAX_CHARACTERS characters. It was refused without normalising it."""


class TooManyMarks(ValueError):
    """A text has more combining marks in a row than any language needs; the message says how to
    fix it.
    """


def clean(value: str) -> str:
    """`value`, trimmed and NFC-normalised: the form that the service checks and stores.

    CPython's normalisation takes time quadratic in the length of a run of combining marks, and
    blocks all other threads meanwhile. So the text is checked before it is normalised. Raises
    TooLong for more than MAX_CHARACTERS characters, and TooManyMarks for more than
    MAX_COMBINING_MARKS combining marks in a row.
    """
    value = value.strip()
    if len(value) > MAX_CHARACTERS:
        raise TooLong(f"Must have at most {MAX_CHARACTERS} characters.")
    if value.isascii():  # already NFC: saves the call on nearly every request
        return value
    _refuse_many_marks(value)
    normal = unicodedata.normalize("NFC", value)
    # Normalising can turn one mark into two. Without this check, cleaning the result again could
    # fail.
    _refuse_many_marks(normal)
    return normal


def _refuse_many_marks(value: str) -> None:
    """Raise TooManyMarks for more than MAX_COMBINING_MARKS combining marks in a row."""
    if len(value) <= MAX_COMBINING_MARKS or not (
        any(map(unicodedata.combining, value)) or _LETTERS_THAT_BECOME_MARKS.intersection(value)
    ):
        return
    row = 0
    for character in value:
        is_mark = unicodedata.combining(character) or character in _LETTERS_THAT_BECOME_MARKS
        row = row + 1 if is_mark else 0
        if row > MAX_COMBINING_MARKS:
            raise TooManyMarks(
                f"Must not have more than {MAX_COMBINING_MARKS} combining marks in a row: remove "
                "the marks that no letter needs."
            )


def key(value: str) -> str:
    """The key of a text: equal for two texts that differ only in case, on every database.

    The key is NFC(casefold(NFC(trim(value)))): the canonical caseless match of the Unicode
    Standard (definition D145), with NFC in place of NFD. Raises the errors of `clean`.
    """
    return unicodedata.normalize("NFC", clean(value).casefold())


def is_blank(value: str) -> bool:
    """Whether `value` is invisible: only spaces, format characters and fillers."""
    return all(
        unicodedata.category(c) in _INVISIBLE_CATEGORIES or ord(c) in _INVISIBLE for c in value
    )


def has_control(value: str) -> bool:
    """Whether `value` contains a control character (category Cc, which includes NUL) or half of a
    surrogate pair (Cs).
    """
    return not value.isprintable() and any(unicodedata.category(c) in ("Cc", "Cs") for c in value)
