"""What a text is here: trimmed, NFC, visible; and the key by which two texts are the same ignoring case."""

from __future__ import annotations

import unicodedata

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


def clean(value: str) -> str:
    """`value` trimmed and NFC-normalised: what is judged and stored."""
    if value.isascii():  # already NFC: saves the call on nearly every request
        return value.strip()
    return unicodedata.normalize("NFC", value.strip())


def key(value: str) -> str:
    """The form in which two texts that differ only in case are equal, alike on every database.

    NFC(casefold(NFC(trim(value)))): Unicode's canonical caseless match (D145) with NFC in place of NFD.
    """
    return unicodedata.normalize("NFC", clean(value).casefold())


def is_blank(value: str) -> bool:
    """Whether nothing in `value` would be seen: spaces, format characters and fillers only."""
    return all(unicodedata.category(c) in _UNSEEN or ord(c) in _INVISIBLE for c in value)


def has_control(value: str) -> bool:
    """Whether `value` holds a control character (category Cc, NUL among them) or half a surrogate pair (Cs)."""
    return not value.isprintable() and any(unicodedata.category(c) in ("Cc", "Cs") for c in value)
