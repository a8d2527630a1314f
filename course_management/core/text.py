"""What a text is here: trimmed, NFC, visible; and the key by which two texts are the same
ignoring case.
"""

from __future__ import annotations

import unicodedata

# characters of a text before it is normalised: four times the longest field, as NFC shrinks none to
# less
LONGEST = 1024
# combining marks in a row (Unicode Standard Annex #15, section 13: Stream-Safe Text Format)
MARKS = 30

# Letters, symbols and marks that show nothing although their category says otherwise
# (Unicode's Default_Ignorable_Code_Point, and the blank Braille pattern).
_INVISIBLE = frozenset(
    [
        *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0),
        *(*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)),
    ]
)

# Format characters and spaces; not what Python's tables do not know yet, which may well be seen.
_UNSEEN = frozenset({"Cf", "Zs", "Zl", "Zp"})


# Three marks that Unicode counts among the letters until it takes them apart.
_MARKS_IN_DISGUISE = frozenset("\u0f73\u0f75\u0f81")


class TooLong(ValueError):
    """A text is longer than any that is taken here: nobody has looked into it."""


class TooManyMarks(ValueError):
    """A text has more combining marks in a row than any language needs; the message says how to
    fix it.
    """


def clean(value: str) -> str:
    """`value` trimmed and NFC-normalised: what is judged and stored.

    CPython's normalisation takes time with the square of the marks in a row, and no other thread
    runs meanwhile. So it is asked only for what cannot take long. Raises TooLong over LONGEST
    characters, TooManyMarks where more than MARKS stand in a row.
    """
    value = value.strip()
    if len(value) > LONGEST:
        raise TooLong(f"Must have at most {LONGEST} characters.")
    if value.isascii():  # already NFC: saves the call on nearly every request
        return value
    _refuse_many_marks(value)
    normal = unicodedata.normalize("NFC", value)
    _refuse_many_marks(normal)  # one mark may become two: what was cleaned can be cleaned again
    return normal


def _refuse_many_marks(value: str) -> None:
    """Raise TooManyMarks where more than MARKS marks stand in a row."""
    if len(value) <= MARKS or not (
        any(map(unicodedata.combining, value)) or _MARKS_IN_DISGUISE.intersection(value)
    ):
        return
    row = 0
    for character in value:
        row = row + 1 if unicodedata.combining(character) or character in _MARKS_IN_DISGUISE else 0
        if row > MARKS:
            raise TooManyMarks(
                f"Must not have more than {MARKS} combining marks in a row: leave out those "
                "that no letter needs."
            )


def key(value: str) -> str:
    """The form in which two texts that differ only in case are equal, alike on every database.

    NFC(casefold(NFC(trim(value)))): Unicode's canonical caseless match (D145) with NFC in place of
    NFD. Raises what `clean` raises.
    """
    return unicodedata.normalize("NFC", clean(value).casefold())


def is_blank(value: str) -> bool:
    """Whether nothing in `value` would be seen: spaces, format characters and fillers only."""
    return all(unicodedata.category(c) in _UNSEEN or ord(c) in _INVISIBLE for c in value)


def has_control(value: str) -> bool:
    """Whether `value` holds a control character (category Cc, NUL among them) or half a
    surrogate pair (Cs).
    """
    return not value.isprintable() and any(unicodedata.category(c) in ("Cc", "Cs") for c in value)
