"""The fields that several features use."""

from __future__ import annotations

import orjson
import pytest
from marshmallow import ValidationError

from course_management.web.fields import Credits, Group


@pytest.mark.parametrize(
    ("sent", "loaded"),
    [
        *(("0", "0"), ("3", "3"), ("3.0", "3"), ("-0.0", "0"), ("3e0", "3"), ("99.99", "99.99")),
        *((f"{n / 100}", f"{n / 100:.10g}") for n in (1, 7, 29, 57, 58, 115, 1999, 9998)),
    ],
)
def test_credits_have_at_most_two_decimals(sent, loaded):
    assert orjson.dumps(Credits().deserialize(orjson.loads(sent))).decode() == loaded


@pytest.mark.parametrize(
    ("sent", "fault"),
    [
        *((value, Credits.RULE) for value in (True, "3", None, [], {}, -1, -0.01, 100, 99.991)),
        *((value, Credits.RULE) for value in (1e300, 2**63)),
        *((value, Credits.DECIMALS) for value in (0.001, 3.005, 1e-320, 33.333)),
    ],
)
def test_other_values_are_no_credits(sent, fault):
    with pytest.raises(ValidationError) as refused:
        Credits().deserialize(sent)
    assert refused.value.messages == [fault]


def test_credits_may_be_null_where_the_schema_says_so():
    assert Credits(allow_none=True).deserialize(None) is None


@pytest.mark.parametrize(
    "name", ["a", "program:cs", " standing:senior ", "0", "a.b_c-d:1", "x" * 64]
)
def test_names_of_groups(name):
    assert Group().deserialize(name) == name.strip()


@pytest.mark.parametrize(
    "name",
    [
        "",
        "A",
        "Program:cs",
        "a b",
        "a:",
        ":a",
        "a:b:c",
        "-a",
        "a:.b",
        "ä",
        "x" * 65,
        "a\nb",
        7,
        None,
    ],
)
def test_other_texts_are_no_names_of_groups(name):
    with pytest.raises(ValidationError):
        Group().deserialize(name)
