"""Rules about the set of courses: prerequisites, exclusions, limits, gates and repeats."""

from __future__ import annotations

from dataclasses import replace

import pytest

from course_management.rules.evaluator import RULES as ALL_RULES
from course_management.rules.evaluator import eligible, explain
from course_management.rules.facts import Completion, Student
from tests.rules.builders import (
    AFTER,
    BEFORE,
    FIRST_HALF,
    NOW,
    RULES,
    SECOND_HALF,
    SPRING,
    TERM,
    broken,
    course,
    entry,
    judged,
    override,
    passed,
    places,
    seats,
)

CS1 = entry("CS 1")


def needs(**condition):
    return entry("CS 2", prerequisites=condition)


@pytest.mark.parametrize(
    ("completion", "condition", "is_met"),
    [
        (passed(), {"course": "CS 1"}, True),
        (passed(), {"course": " cs 1 "}, True),
        (passed(kind="transfer"), {"course": "CS 1"}, True),
        (passed(grade=None), {"course": "CS 1"}, True),
        (passed(grade=None), {"course": "CS 1", "min_grade": "D"}, False),
        (passed(grade="D"), {"course": "CS 1"}, True),
        (passed(grade="F"), {"course": "CS 1"}, False),
        (passed(grade="F"), {"course": "CS 1", "min_grade": "F"}, False),
        (passed(grade="pass"), {"course": "CS 1"}, False),
        (passed(grade="C"), {"course": "CS 1", "min_grade": "C"}, True),
        (passed(grade="D"), {"course": "CS 1", "min_grade": "C"}, False),
        (passed(kind="withdrawn", grade=None), {"course": "CS 1"}, False),
        (passed("ICS 1", same_as=frozenset({"cs 1"})), {"course": "CS 1"}, True),
        (passed("CS 31"), {"course_like": "CS 3*"}, True),
        (passed("CS 31", "C"), {"course_like": "CS 3*", "min_grade": "B"}, False),
        (passed("CSX 1"), {"course_like": "CS *"}, False),
        (passed(credits=150), {"credits": 1.5}, True),
        (passed(credits=149), {"credits": 1.5}, False),
        (passed(credits=300, grade="F"), {"credits": 1}, False),
        (Completion("test", test="aleks", score=7000), {"test": "ALEKS", "min": 70}, True),
        (Completion("test", test="aleks", score=6999), {"test": "ALEKS", "min": 70}, False),
        (Completion("test", test="aleks"), {"test": "ALEKS"}, True),
        (Completion("test", test="aleks"), {"test": "ALEKS", "min": 0}, False),
    ],
)
def test_a_completion_meets_a_condition(completion, condition, is_met):
    found = judged({}, seats(course(entry=needs(**condition))), completions=[completion])
    assert [one.rule for one in found.broken] == ["prerequisite-missing"] * (not is_met)
    assert found.warnings == []


def test_courses_in_progress_and_earlier_parts_count_with_a_warning():
    late = course(7, SECOND_HALF, entry=needs(course="CS 1", min_grade="C"))
    going_on = [passed(kind="in-progress", grade=None)]
    early = course(1, FIRST_HALF, entry=CS1)
    for before, completions in (({}, going_on), (seats(early), []), (places(early), [])):
        found = judged(before, {**before, **seats(late)}, completions=completions)
        assert found.broken == []
        assert [one.rule for one in found.warnings] == ["prerequisite-missing"]
    together = judged({}, seats(early, late))
    assert (together.broken, len(together.warnings)) == ([], 1)
    for other in (course(1, TERM, entry=CS1), course(1, SECOND_HALF, entry=CS1)):
        assert broken(seats(other), seats(other, late)) == [("prerequisite-missing", 7)]


def test_texts_are_warnings_or_refusals():
    wanted = seats(course(entry=needs(any=[{"course": "CS 1"}, {"text": "consent of the head"}])))
    found = judged({}, wanted)
    assert found.broken == []
    assert "consent of the head" in found.warnings[0].detail
    assert judged({}, wanted, completions=[passed()]).warnings == []
    strict = replace(RULES, text_refuses=True)
    assert broken({}, wanted, settings=strict) == [("prerequisite-missing", 1)]


LAB = {"course": "CS 1", "concurrent": True}


def test_a_corequisite_is_done_before_or_a_seat_in_the_same_term():
    physics, other = course(7, entry=needs(**LAB)), course(1, entry=CS1)
    spring, equal = course(1, SPRING, entry=CS1), course(1, entry=entry("X", same_as={"cs 1"}))
    missing = [("corequisite-missing", 7)]
    assert broken({}, seats(physics)) == missing
    assert broken({}, seats(physics), completions=[passed()]) == []
    assert broken({}, seats(physics, other)) == broken({}, seats(physics, equal)) == []
    assert broken({}, {**places(physics), **seats(other)}) == []
    assert broken({}, {**seats(physics), **places(other)}) == missing
    assert broken({}, seats(physics, spring)) == missing
    assert judged({}, seats(physics)).broken[0].remedy == "Add CS 1 in the same request."


def test_both_kinds_of_conditions_are_reported():
    both = ["prerequisite-missing", "corequisite-missing"]
    for condition, rules in (
        ({"all": [LAB, {"course": "MA 1"}]}, both),
        ({"any": [LAB, {"course": "MA 1"}]}, both[1:]),
    ):
        found = judged({}, seats(course(7, entry=needs(**condition)))).broken
        assert [one.rule for one in found] == rules
    assert found[0].remedy == "Add CS 1 in the same request, or complete MA 1."


def test_a_drop_that_leaves_another_course_without_its_corequisite_is_refused():
    physics, lab, section = (
        course(7, entry=needs(**LAB)),
        course(1, entry=CS1),
        course(2, entry=CS1),
    )
    both = seats(physics, lab)
    found = judged(both, seats(physics)).broken
    assert [(one.rule, one.course, one.facts["required_by"]) for one in found] == [
        ("required-by", 1, 7)
    ]
    waiting = {**places(physics), **seats(lab)}
    assert broken(waiting, places(physics)) == [("required-by", 1)]
    assert broken(both, {}) == []
    assert broken(both, seats(physics, section)) == []
    assert broken(both, {**seats(physics), **places(section)}) == [("required-by", 1)]
    assert broken(both, seats(physics), completions=[passed()]) == []
    # Nothing that stood before: the place on the waitlist never counted.
    assert broken({**seats(physics), **places(lab)}, seats(physics)) == []
    assert broken(both, seats(physics), overrides=[override("required-by", course=1)]) == []


def test_excluding_entries_in_the_set_or_done():
    algebra = course(1, entry=entry("MA 1", excludes=frozenset({"ma 2"})))
    honors = course(2, entry=entry("MA 2"))
    assert broken({}, places(algebra, honors)) == [("excluded-by", 2)]
    assert broken(seats(honors), seats(honors, algebra)) == [("excluded-by", 1)]
    assert broken({}, seats(algebra), completions=[passed("MA 2")]) == [("excluded-by", 1)]
    same = passed("MA 3", same_as=frozenset({"ma 2"}))
    assert broken({}, seats(algebra), completions=[same]) == [("excluded-by", 1)]
    assert broken({}, seats(algebra), completions=[passed("MA 2", "F")]) == []
    assert broken(seats(honors), seats(algebra)) == []


def test_the_same_entry_and_component_twice():
    lecture, lab = (course(n, entry=CS1, component=c) for n, c in ((1, "lecture"), (2, "lab")))
    second = course(3, entry=CS1, component="lecture")
    equal = course(4, entry=entry("X", same_as=frozenset({"cs 1"})), component="lecture")
    spring = course(5, SPRING, entry=CS1, component="lecture")
    half = course(6, FIRST_HALF, entry=CS1, component="lecture")
    assert broken({}, seats(lecture, lab)) == broken({}, seats(lecture, spring)) == []
    for other in (second, equal, half):
        assert broken(places(lecture), {**places(lecture), **seats(other)}) == [
            ("already-taking", other.id)
        ]
        assert broken(seats(lecture), seats(other)) == []
    assert broken({}, seats(course(8), course(9))) == []  # without entries


def test_limits_are_of_whole_terms_and_count_waitlist_positions():
    whole = replace(TERM, max_credits=600)
    half = replace(FIRST_HALF, max_credits=600)
    one, two, three = course(1, whole), course(2, half), course(3, whole)
    assert broken({}, seats(one, two)) == []
    found = judged({**seats(one), **places(two)}, {**seats(one, three), **places(two)}).broken
    assert [(f.rule, f.course, f.facts["exceeded_by"]) for f in found] == [
        ("credits-exceeded", None, 3)
    ]
    assert broken(seats(one, two), seats(one, three)) == []
    stood = seats(one, two, three)
    assert broken(stood, seats(one, two, course(4, whole))) == []  # not made worse
    assert broken(seats(one, two), {**seats(one), **seats(two, credits_each=301)}) == [
        ("credits-exceeded", None)
    ]
    few = [course(n, replace(TERM, max_courses=1)) for n in (1, 2)]
    assert broken({}, seats(*few)) == [("courses-exceeded", None)]


def test_overrides_of_limits():
    courses = [
        course(n, replace(TERM, max_credits=600), entry=entry(f"CS {n}")) for n in (1, 2, 3, 4)
    ]

    def found(*overrides, wanted=courses[:3]):
        judgement = judged({}, seats(*wanted), overrides=overrides)
        return [f.facts["limit"] for f in judgement.broken], judgement.overrides_used

    rule = "credits-exceeded"
    assert found() == ([6], [])
    assert found(override(rule, course=3)) == ([], [70])
    assert found(override(rule, course=3), wanted=courses) == ([6], [])
    assert found(override(rule, entry="cs 2")) == ([], [70])
    assert found(override(rule, term="fall")) == ([], [70])
    assert found(override(rule, term="fall", value=900)) == ([], [70])
    assert found(override(rule, term="fall", value=899)) == ([8.99], [])
    assert found(override(rule, term="fall", value=100)) == ([6], [])
    assert found(override(rule, term="fall", expires_at=NOW)) == ([6], [])
    assert found(override(rule, term="fall", expires_at=AFTER)) == ([], [70])
    assert found(override("courses-exceeded", term="fall")) == ([6], [])
    two = override(rule, 1, course=1), override(rule, 2, course=2)
    assert found(*two) == ([], [1])
    assert found(*two, wanted=courses) == ([], [1, 2])
    assert found(*two, override(rule, 3, term="fall"), wanted=courses)[0] == []


def test_the_minimum_of_credits_is_judged_after_the_end_of_adding():
    for add_until, found in ((AFTER, []), (None, []), (NOW, [("credits-below-minimum", None)])):
        a, b = (course(n, replace(TERM, min_credits=600, add_until=add_until)) for n in (1, 2))
        assert broken(seats(a, b), seats(a)) == found
        assert broken({**seats(a), **places(b)}, seats(a)) == []  # leaving a waitlist
        lifted = override("credits-below-minimum", term="fall", value=300)
        assert broken(seats(a, b), seats(a), overrides=[lifted]) == []
        lowered = {**seats(a), **seats(b, credits_each=200)}
        codes = [rule for rule, _ in broken(seats(a, b), lowered)]
        assert ("credits-below-minimum" in codes) == bool(found)
    assert broken(seats(a, b), {**seats(a), **places(b)}) == []


def test_restricted_courses_and_consent():
    closed = course(open_to={"any": [{"group": "program:cs"}, {"group": "standing:senior"}]})
    (found,) = judged({}, seats(closed)).broken
    assert (found.rule, found.remedy) == (
        "restricted",
        "It is open to students who are in the group program:cs, or the group standing:senior.",
    )
    assert broken({}, seats(closed), groups=frozenset({"program:cs"})) == []
    wanted = course(consent="instructor", contact="Ada (ada@example.edu)")
    (found,) = judged({}, places(wanted)).broken
    assert found.rule == "consent-required"
    assert found.remedy.startswith("Ask Ada (ada@example.edu) for consent.")
    given = judged({}, seats(wanted), overrides=[override("consent-required", course=1)])
    assert (given.broken, given.overrides_used) == ([], [70])
    idle = judged({}, seats(course()), overrides=[override("consent-required", course=1)])
    assert idle.overrides_used == []


@pytest.mark.parametrize(
    ("attempts", "is_refused"),
    [
        ([passed(term="t1")], False),
        ([passed(term="t1"), passed(term="t2")], True),
        ([passed(term="t1"), passed(term="t1", grade="F")], False),  # one a term
        ([passed(term=None), passed(term=None)], True),
        ([passed(kind="withdrawn", term="t1"), passed(kind="in-progress", term="t2")], True),
        ([passed(term="t1"), passed(kind="withdrawn", term="fall")], False),  # the same attempt
        ([passed(term="t1"), passed("X", term="t2", same_as=frozenset({"cs 1"}))], True),
        ([passed(term="t1"), passed("MA 1", term="t2")], False),
    ],
)
def test_attempts_reach_the_limit_of_repeats(attempts, is_refused):
    limited = entry("CS 1", max_attempts=2)
    wanted = seats(course(entry=limited), course(2, entry=limited, component="lab"))
    found = broken({}, wanted, completions=attempts)
    assert found == [("repeat-limit", 1), ("repeat-limit", 2)] * is_refused


def test_sections_can_be_swapped_at_the_limit_of_repeats():
    limited = entry("CS 1", max_attempts=1)
    one, two, spring = (course(n, t, entry=limited) for n, t in ((1, TERM), (2, TERM), (3, SPRING)))
    assert broken(seats(one), seats(two)) == []
    assert broken(seats(one), seats(one, spring)) == [("repeat-limit", 3)]
    assert broken(seats(one), seats(spring)) == []


def test_a_course_without_entry_has_no_rules_of_entries():
    assert broken({}, seats(course()), completions=[passed()]) == []


def test_every_broken_rule_is_reported_in_the_order_of_the_rules():
    late = replace(TERM, windows=(), add_until=BEFORE, max_credits=0, max_courses=0)
    wanted = course(7, late, entry=needs(**LAB), open_to={"group": "a"}, consent="department")
    codes = [rule for rule, _ in broken({}, seats(wanted))]
    assert len(codes) == 7
    assert codes == [rule.code for rule in ALL_RULES if rule.code in codes]


def test_eligibility_explains_each_rule():
    wanted = course(7, entry=needs(**LAB), consent="department", open_to={"text": "seniors"})
    student = Student(9, overrides=[override("consent-required", course=7)])
    found = {one.rule: one for one in explain(student, wanted, moment=NOW, settings=RULES)}
    assert [rule for rule, one in found.items() if not one.met] == ["corequisite-missing"]
    assert found["corequisite-missing"].findings[0].course == 7
    assert found["consent-required"].overrides == (70,)
    assert "seniors" in found["restricted"].warnings[0].detail
    assert not {"required-by", "drop-deadline-passed", "credits-below-minimum"} & found.keys()
    others = [wanted, course(8), course(9, consent="department")]
    assert [c.id for c in eligible(student, others, moment=NOW, settings=RULES)] == [8]
