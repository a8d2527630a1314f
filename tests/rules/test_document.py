"""docs/rules.md agrees with the rules: it has a section for each, and its conditions are valid."""

from __future__ import annotations

import json
import re
from pathlib import Path

from course_management.courses.refusals import (
    CourseCancelled,
    CourseClosed,
    CourseFull,
    WaitlistFull,
)
from course_management.rules import evaluator, expressions

TEXT = (Path(__file__).parent.parent.parent / "docs" / "rules.md").read_text()
SEATS = (CourseClosed, CourseCancelled, CourseFull, WaitlistFull)


def section(title: str) -> str:
    """The text below a heading, up to the next heading of the same level."""
    (found,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", TEXT, flags=re.MULTILINE | re.DOTALL)
    return str(found)


def test_each_rule_has_a_section():
    headings = re.findall("^### `([a-z-]+)`$", section("Each rule"), flags=re.MULTILINE)
    assert headings == [*evaluator.CODES, *(error.code for error in SEATS)]


def test_each_section_says_when_a_rule_is_broken_what_lifts_it_and_an_example():
    for part in section("Each rule").split("### ")[1:]:
        found = re.findall(r"^- \*\*(\w+)", part, flags=re.MULTILINE)
        assert found == ["Broken", "Lifted", "Example"], part


def test_the_table_shows_each_condition_of_the_notation():
    rows = re.findall(r"^\| `(\{.*?\})` \|", section("Conditions"), flags=re.MULTILINE)
    shown = [json.loads(row) for row in rows]
    assert [expressions.faults(one) for one in shown] == [[]] * len(shown)
    assert {name for one in shown for name in expressions.CONDITIONS if name in one} == set(
        expressions.CONDITIONS
    )


def test_twenty_sentences_are_written_without_a_fault():
    blocks = re.findall("```json\n(.*?)```", section("Twenty sentences of a catalogue"), re.DOTALL)
    assert len(blocks) == 20
    for fields in map(json.loads, blocks):
        assert fields.keys() <= {"prerequisites", "open_to", "consent"}
        assert expressions.faults(fields.get("prerequisites", {"credits": 1})) == []
        assert expressions.faults(fields.get("open_to", {"text": "x"}), only_groups=True) == []


def test_the_limits_of_the_notation_are_those_of_the_service():
    limits = section("Conditions")
    assert f"at most {expressions.MAX_DEPTH} levels" in limits
    assert re.search(rf"at most {expressions.MAX_LEAVES}\s+conditions", limits)
    assert f"at most {expressions.MAX_CHARACTERS} characters" in limits
