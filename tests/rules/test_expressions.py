"""The notation of conditions: its faults, and the remedies that it leads to."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from course_management.rules.expressions import codes_of, faults, grades_of
from tests.rules.builders import RULES, course, entry, judged, passed, seats

CS = {"course": "CS 225"}

CORRECT = [
    {"all": [CS, {"any": [CS, {"course": "CS 1", "min_grade": "C", "concurrent": True}]}]},
    {"at_least": 2, "of": [CS, CS]},
    {"course_like": "MATH 3*", "min_grade": "B"},
    {"credits": 60},
    {"credits": 1.25},
    {"test": "ALEKS", "min": 70},
    {"test": "ALEKS"},
    {"group": "standing:senior"},
    {"text": "consent of the head"},
    {"text": "x" * 200},
    {"all": [{"all": [{"all": [{"all": [{"all": [CS]}]}]}]}]},
    {"any": [CS] * 200},
]


@pytest.mark.parametrize("expression", CORRECT, ids=str)
def test_correct_expressions_have_no_fault(expression):
    assert faults(expression) == []


FAULTY = {
    "not an object": ("CS 225", "", "Must be an object"),
    "null": (None, "", "Must be an object"),
    "empty": ({}, "", "Must have one of these members: all, any, at_least, course,"),
    "two conditions": ({"course": "CS 1", "credits": 3}, "", "Must have only one of these"),
    "unknown member": ({"any": [{**CS, "a/b~": 1}]}, "/any/0/a~1b~0", "Must be removed"),
    "operator with a member": ({"all": [CS], "of": [CS]}, "/of", "Must be removed"),
    "empty list": ({"all": []}, "/all", "Must be a list of at least one"),
    "no list": ({"any": CS}, "/any", "Must be a list of at least one"),
    "nested": ({"all": [CS, {"any": [3]}]}, "/all/1/any/0", "Must be an object"),
    "no of": ({"at_least": 1}, "/of", "Must be a list of at least one"),
    "at least 0": ({"at_least": 0, "of": [CS]}, "/at_least", "from 1 to 1"),
    "at least 3 of 2": ({"at_least": 3, "of": [CS, CS]}, "/at_least", "from 1 to 2"),
    "at least true": ({"at_least": True, "of": [CS]}, "/at_least", "Must be a whole number."),
    "at least 1.0": ({"at_least": 1.0, "of": [CS]}, "/at_least", "Must be a whole number."),
    "course is a number": ({"course": 225}, "/course", "Must be a text."),
    "blank course": ({"course": " "}, "/course", "Must not be blank."),
    "control character": ({"text": "a\x00"}, "/text", "Must not contain control characters."),
    "half a surrogate pair": ({"group": "\ud800"}, "/group", "Must not contain control"),
    "marks": ({"text": "a" + "\u0301" * 31}, "/text", "Must not have more than 30 combining"),
    "long text": ({"text": "x" * 201}, "/text", "Must have at most 200 characters."),
    "concurrent": ({**CS, "concurrent": 1}, "/concurrent", "Must be true or false."),
    "grade": ({**CS, "min_grade": 3}, "/min_grade", "Must be a text."),
    "like without star": ({"course_like": "MATH 3"}, "/course_like", "Must be the beginning"),
    "like with two stars": ({"course_like": "M* 3*"}, "/course_like", "Must be the beginning"),
    "like everything": ({"course_like": "*"}, "/course_like", "Must be the beginning"),
    "like, concurrent": ({"course_like": "M*", "concurrent": True}, "/concurrent", "Must be rem"),
    "no credits": ({"credits": 0}, "/credits", "Must be at least 0.01"),
    "credits are true": ({"credits": True}, "/credits", "Must be a number."),
    "huge credits": ({"credits": 10**400}, "/credits", "Must be at least 0.01 and below 100000."),
    "infinite": ({"credits": float("inf")}, "/credits", "Must be at least"),
    "not a number": ({"credits": float("nan")}, "/credits", "Must be at least"),
    "three decimals": ({"credits": 1.234}, "/credits", "Must have at most two decimals."),
    "negative score": ({"test": "ALEKS", "min": -1}, "/min", "Must be at least 0"),
    "too deep": (
        {"all": [{"all": [{"all": [{"all": [{"all": [{"all": [CS]}]}]}]}]}]},
        "",
        "Must have at most 6 levels",
    ),
    "too many": ({"all": [{"any": [CS] * 100}, {"any": [CS] * 101}]}, "", "Must have at most 200"),
    "too many empty": ({"all": [{"all": []}] * 201}, "", "Must have at most 200"),
}


@pytest.mark.parametrize(("expression", "pointer", "sentence"), FAULTY.values(), ids=FAULTY.keys())
def test_each_fault_is_named_once_with_its_pointer(expression, pointer, sentence):
    found = faults(expression)
    assert [where for where, _ in found] == [pointer]
    assert sentence in found[0][1]


def test_all_faults_are_listed():
    found = faults({"all": [{"course": ""}, {"credits": -1, "x": 1}, {"any": []}]})
    assert [where for where, _ in found] == [
        *("/all/0/course", "/all/1/x", "/all/1/credits", "/all/2/any")
    ]


def test_open_to_takes_only_groups_and_texts():
    assert faults({"any": [{"group": "a"}, {"text": "b"}]}, only_groups=True) == []
    found = faults({"any": [{"group": "a"}, CS, {}]}, only_groups=True)
    assert found == [
        *[
            (
                "/any/1/course",
                "Must be one of these conditions here: all, any, at_least, group, text.",
            )
        ],
        ("/any/2", "Must have one of these members: all, any, at_least, group, text."),
    ]


def deep(levels):
    expression = CS
    for _ in range(levels):
        expression = {"all": [expression]}
    return expression


HOSTILE = {
    "deep": deep(100_000),
    "wide": {"all": [[]] * 500_000},
    "wide below": {"all": [{"any": [1] * 150}, {"at_least": 1, "of": [None] * 500_000}]},
    "members": {"course": "CS 1", **{f"m{n}": n for n in range(100_000)}},
    "long member": {"course": "CS 1", "x" * 1_000_000: 1},
    "long text": {"text": "x" * 1_000_000},
    "marks": {"text": "\u0301" * 500_000},
}


@pytest.mark.parametrize("expression", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_expressions_have_short_answers(expression):
    assert 0 < len(json.dumps(faults(expression))) < 4000
    while isinstance(expression, dict) and "all" in expression:  # or freeing it recurses
        expression = expression.pop("all")[0]


def test_grades_and_codes_are_found_wherever_they_are():
    expression = {
        "all": [
            {"course": "CS 225", "min_grade": "C"},
            {"at_least": 1, "of": [{"course_like": "M*", "min_grade": "B"}, {"course": "cs 225"}]},
            {"course": "Straße 1"},
        ]
    }
    assert grades_of(expression) == [("/all/0/min_grade", "C"), ("/all/1/of/0/min_grade", "B")]
    assert {code.casefold() for code in codes_of(expression)} == {"cs 225", "strasse 1"}


def one_of(n):
    return {"any": [{"course": f"CS {i}"} for i in range(1, n + 1)]}


REMEDIES = [
    ({"course": "CS 225", "min_grade": "C"}, "Complete CS 225 with at least C."),
    (
        {"any": [{"course": "CS 225", "min_grade": "C"}, {"course": "CS 173"}]},
        "Complete CS 225 with at least C, or CS 173.",
    ),
    ({"all": [{"course": "MA 1"}, one_of(2)]}, "Complete CS 1, or CS 2."),
    ({"all": [{"course": "X 1"}, one_of(2)]}, "Complete X 1 and (CS 1 or CS 2)."),
    # The nearest alternative: the other one lacks two courses.
    ({"any": [{"all": [CS, {"course": "X 1"}]}, {"course": "Y 1"}]}, "Complete Y 1."),
    ({"any": [{"all": [CS, {"course": "MA 1"}]}, {"course": "Y 1"}]}, "Complete CS 225, or Y 1."),
    (one_of(8), "Complete CS 1, CS 2, CS 3, CS 4, CS 5, or 3 others."),
    ({"at_least": 2, "of": [{"course": "MA 1"}, *one_of(2)["any"]]}, "Complete CS 1, or CS 2."),
    (
        {"at_least": 2, "of": one_of(3)["any"]},
        "Do 2 of these: complete CS 1, CS 2 or CS 3.",
    ),
    ({"all": one_of(3)["any"]}, "Complete CS 1, CS 2 and CS 3."),
    (
        {"any": [{"credits": 60}, {"test": "ALEKS", "min": 70}, {"group": "g"}, {"text": "ask"}]},
        "Earn 60 credits, reach at least 70 in ALEKS, be in the group g, or meet the condition "
        "“ask”.",
    ),
    ({"course_like": "MATH 3*"}, "Complete a course such as MATH 3*."),
]


@pytest.mark.parametrize(("expression", "remedy"), REMEDIES, ids=[r for _, r in REMEDIES])
def test_the_remedy_names_what_is_nearest(expression, remedy):
    wanted = course(7, entry=entry("ZZ 1", prerequisites=expression))
    strict = replace(RULES, text_refuses=True)
    found = judged({}, seats(wanted), completions=[passed("MA 1")], settings=strict).broken
    assert [(one.rule, one.remedy) for one in found] == [("prerequisite-missing", remedy)]
