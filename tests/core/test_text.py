"""Texts: trimming, NFC, invisible characters, and the key that ignores case."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_management.core import text

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Straße", "STRASSE"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        (" Physics ", "pHYSICS"),
        ("É", "e\u0301"),
        ("ﬃ", "FFI"),
        ("Ǆ", "ǆ"),
    ],
)
def test_texts_that_differ_in_case_or_form_have_one_key(one, other):
    assert text.key(one) == text.key(other)


@pytest.mark.parametrize(
    "blank",
    ["", "  ", "\u200b", "\u3164", "\u00ad\u2060", "\u2800", "\ufe0f", "\U000e0100", "\u3000"],
)
def test_invisible_texts_are_blank(blank):
    assert text.is_blank(blank)


@pytest.mark.parametrize(
    "seen", ["a", " a ", "\u200bа", "日", "🎓", ".", "\U0001fae8", "\U0002ebf0"]
)
def test_visible_texts_are_not_blank(seen):
    assert not text.is_blank(seen)


@pytest.mark.parametrize("bad", ["a\0b", "\n", "a\x7f", "\x85x", "\ud800"])
def test_control_characters_and_half_surrogates_are_found(bad):
    assert text.has_control(bad)
    assert not text.has_control("Ünïcode ✓ \u200d")


@given(texts)
def test_the_key_of_a_key_is_the_same_key(value):
    folded = text.key(value)
    assert unicodedata.is_normalized("NFC", folded)
    assert text.key(text.clean(value)) == folded


@given(texts)
def test_cleaning_twice_changes_nothing(value):
    assert text.clean(text.clean(value)) == text.clean(value)


@given(
    st.text(
        st.sampled_from("aé\u0300\u0316\u0344\u0f73\u0958ΐẛ")
        | st.characters(exclude_categories=["Cs"]),
        max_size=150,
    )
)
def test_a_clean_text_is_normal_and_can_be_cleaned_again(value):
    try:
        cleaned = text.clean(value)
    except text.TooManyMarks:
        return
    assert unicodedata.is_normalized("NFC", cleaned)
    assert text.clean(cleaned) == cleaned
    text.key(cleaned)


@pytest.mark.parametrize("mark", ["\u0300", "\u0f73", "\u3099", "\U0001d165"])
def test_more_than_30_marks_in_a_row_are_refused(mark):
    assert text.clean("a" + mark * 10)
    for many in ("a" + mark * 31, mark * 31, "b" * 900 + mark * 31 + "c"):
        with pytest.raises(text.TooManyMarks):
            text.clean(many)


def test_a_text_too_long_for_any_field_is_not_normalised():
    assert len(text.clean("ö" * text.MAX_CHARACTERS)) == text.MAX_CHARACTERS
    for long in ("a" * 1025, "ö" * 1025, "a\u0316\u0300" * 10**6):
        with pytest.raises(text.TooLong):
            text.clean(long)
