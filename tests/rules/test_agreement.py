"""Compares the evaluator with the reference (reference.py) on generated schools (schools.py)."""

from __future__ import annotations

from datetime import datetime

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from course_management.rules.evaluator import RULES, eligible, explain, explain_each, judge
from course_management.rules.facts import Held
from tests.generated import examples
from tests.rules.reference import Reference
from tests.rules.schools import make_case, make_roster

cases = st.randoms(use_true_random=False).map(make_case)
rosters = st.randoms(use_true_random=False).map(make_roster)


def generated(number):
    """The configuration of a test with this number of schools."""
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=number, deadline=None, suppress_health_check=slow)


def about(finding):
    """The facts of a finding that the reference finds too."""
    facts = finding.facts
    match finding.rule:
        case "registration-not-open":
            opens_at = facts["opens_at"]
            return datetime.fromisoformat(opens_at).timestamp() if opens_at else None
        case "hold":
            return facts["hold"], tuple(sorted(facts["course_ids"]))
        case "required-by":
            return facts["required_by"]
        case "excluded-by":
            return facts["excluded_by"], facts["excluding_course_id"]
        case "already-taking":
            return facts["other_course_id"]
        case "time-conflict":
            return facts["other_course_id"], facts["first_shared_date"]
        case "credits-exceeded":
            return int(facts["term"][1:]), facts["credits"] * 100, facts["limit"] * 100
        case "courses-exceeded":
            return int(facts["term"][1:]), facts["courses"], facts["limit"]
        case "credits-below-minimum":
            return int(facts["term"][1:]), facts["credits"] * 100
        case "repeat-limit":
            return facts["attempts"]
    return None


def broken(judgement):
    found = [(one.rule, one.course, about(one)) for one in judgement.broken]
    assert len(set(found)) == len(found)
    return set(found)


def warned(judgement):
    """Rule, course, and whether the least certain condition is unverified or provisional."""
    unverified = {(w.rule, w.course) for w in judgement.warnings if "text" in w.facts["condition"]}
    return {
        (w.rule, w.course, "unverified" if (w.rule, w.course) in unverified else "provisional")
        for w in judgement.warnings
    }


@generated(examples(80, 150))
@given(cases)
def test_the_evaluator_agrees_with_the_reference(case):
    student, moment, rules = case
    judgement = judge([student], moment=moment, settings=rules)
    expected = Reference(student, moment, rules)
    assert broken(judgement) == expected.broken
    assert warned(judgement) == expected.warnings
    assert set(judgement.withdrawals) == expected.withdrawals


@generated(60)
@given(cases)
def test_the_overrides_that_are_used_are_enough_and_none_is_idle(case):
    student, moment, rules = case
    judgement = judge([student], moment=moment, settings=rules)
    used = [one for one in student.overrides if one.id in judgement.overrides_used]
    assert len(used) == len(judgement.overrides_used)
    again = judge([student._replace(overrides=used)], moment=moment, settings=rules)
    # An override can replace a limit that the request exceeds all the same. It is not used then.
    assert [(one.rule, one.course) for one in again.broken] == [
        (one.rule, one.course) for one in judgement.broken
    ]
    assert again.withdrawals == judgement.withdrawals
    for rule in {one.rule for one in used}:
        others = [one for one in used if one.rule != rule]
        without = judge([student._replace(overrides=others)], moment=moment, settings=rules)
        assert (without.broken, without.withdrawals) != (again.broken, again.withdrawals)


@generated(examples(80, 300))
@given(rosters)
def test_many_students_are_judged_as_each_alone(roster):
    students, moment, rules = roster
    judgement = judge(students, moment=moment, settings=rules)
    alone = [judge([student], moment=moment, settings=rules) for student in students]
    for name in ("broken", "warnings", "withdrawals", "overrides_used"):
        assert getattr(judgement, name) == [found for one in alone for found in getattr(one, name)]


@generated(60)
@given(cases)
def test_eligibility_says_what_adding_then_does(case):
    student, moment, rules = case
    for held in (h for i, h in student.after.items() if i not in student.before):
        after = {**student.before, held.course.id: Held(held.course, True, held.credits)}
        expected = judge([student._replace(after=after)], moment=moment, settings=rules)
        explained = explain(
            student, held.course, moment=moment, settings=rules, chosen_credits=held.credits
        )
        assert [one.rule for one in explained] == [r.code for r in RULES if "add" in r.acts]
        assert [f for one in explained for f in one.findings] == expected.broken
        assert [f for one in explained for f in one.warnings] == expected.warnings
        assert [i for one in explained for i in one.overrides] == expected.overrides_used
        assert all(one.met == (not one.findings) for one in explained)
    courses = [held.course for held in student.after.values()]
    options = {"moment": moment, "settings": rules}
    each = {
        course.id: all(one.met for one in explained)
        for course, explained in explain_each(student, courses, **options)
    }
    assert [i for i, met in each.items() if met] == [
        course.id for course in eligible(student, courses, **options)
    ]
