"""Makes small schools in which rules are often broken: terms with parts, courses at midnight, and
moments around the end of daylight saving.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import combinations
from zoneinfo import ZoneInfo

import orjson

from course_management.rules.evaluator import CODES
from course_management.rules.facts import (
    Completion,
    Course,
    Entry,
    Grades,
    Held,
    Hold,
    Meeting,
    Override,
    Settings,
    Student,
    Term,
    Window,
)
from course_management.rules.stored_completions import StoredCompletions

# Clocks in Chicago go back at 2:00 on this day: 1:30 is twice, 06:30 and 07:30 in UTC.
CHICAGO = ZoneInfo("America/Chicago")
AUTUMN = [
    datetime(2026, 11, 1, 1, minute, tzinfo=CHICAGO, fold=fold)
    for fold in (0, 1)
    for minute in (10, 30, 50)
]
OTHERS = [datetime(2026, 11, 1, 6 + n // 2, 30 * (n % 2), tzinfo=UTC) for n in range(5)]
OTHERS += [datetime(2026, 11, 1, 12, 10, tzinfo=ZoneInfo("Asia/Kathmandu"))]
MOMENTS = sorted(AUTUMN + OTHERS, key=datetime.timestamp)
GRADES = Grades(("A", "B", "C", "D", "F"), passing=4)
GROUPS = ["g1", "g2", "g3"]
CODES_SHOWN = ["CS 1", "CS 2", "CS 31", "MA 1", "MA 2"]
ENTRY_KEYS = [code.casefold() for code in CODES_SHOWN]
FIRST = date(2026, 10, 26)  # a Monday


def maybe(rnd, make, chance=0.5):
    return make() if rnd.random() < chance else None


def some(rnd, items, most=3):
    return rnd.sample(items, rnd.randint(0, min(most, len(items))))


def make_terms(rnd):
    """Two whole terms, and two parts of the first."""

    def deadlines():
        three = sorted((rnd.choice(MOMENTS) for _ in range(3)), key=datetime.timestamp)
        return {
            name: moment if rnd.random() < 0.6 else None
            for name, moment in zip(
                ("add_until", "drop_until", "withdraw_until"), three, strict=True
            )
        }

    found = []
    for whole, starts in ((1, FIRST), (4, FIRST + timedelta(days=60))):
        windows = []
        for _ in range(rnd.randint(0, 2)):
            opens, closes = (rnd.choice(MOMENTS) for _ in range(2))
            windows.append(Window(rnd.choice([None, *GROUPS]), opens, closes))
        shared = {
            "windows": tuple(windows),
            "min_credits": maybe(rnd, lambda: rnd.choice([300, 600])),
            "max_credits": maybe(rnd, lambda: rnd.choice([400, 750, 900])),
            "max_courses": maybe(rnd, lambda: rnd.choice([1, 2, 3])),
        }
        for n, (begin, end) in enumerate(((0, 13), (0, 6), (rnd.choice([6, 7]), 13))):
            if n and whole == 4:
                continue
            found.append(
                Term(
                    whole + n,
                    f"t{whole + n}",
                    whole,
                    f"t{whole}",
                    starts + timedelta(days=begin),
                    starts + timedelta(days=end),
                    **deadlines(),
                    **shared,
                )
            )
    return found


def make_leaf(rnd, only_groups):
    kind = rnd.choice(["group", "text"] if only_groups else ["course"] * 6 + ["like", "credits"])
    if not only_groups and rnd.random() < 0.2:
        kind = rnd.choice(["group", "text", "test"])
    grade = {"min_grade": rnd.choice(GRADES.order)} if rnd.random() < 0.4 else {}
    if kind == "course":
        concurrent = {"concurrent": rnd.random() < 0.8} if rnd.random() < 0.6 else {}
        return {"course": rnd.choice(CODES_SHOWN), **grade, **concurrent}
    if kind == "like":
        return {"course_like": rnd.choice(["CS *", "CS 3*", "M*"]), **grade}
    if kind == "credits":
        return {"credits": rnd.choice([1, 1.5, 4, 7])}
    if kind == "test":
        return {"test": "ALEKS", **({"min": rnd.choice([69.5, 70])} if rnd.random() < 0.7 else {})}
    return {"group": rnd.choice(GROUPS)} if kind == "group" else {"text": "consent"}


def make_expression(rnd, *, only_groups=False, depth=3):
    if depth == 1 or rnd.random() < 0.4:
        return make_leaf(rnd, only_groups)
    nested = [
        make_expression(rnd, only_groups=only_groups, depth=depth - 1)
        for _ in range(rnd.randint(1, 3))
    ]
    kind = rnd.choice(["all", "any", "at_least"])
    if kind == "at_least":
        return {"at_least": rnd.randint(1, len(nested)), "of": nested}
    return {kind: nested}


def make_entries(rnd):
    pairs = list(combinations(ENTRY_KEYS, 2))
    same, excludes = some(rnd, pairs, 1), some(rnd, pairs, 2)

    def others(code, relation):
        return frozenset(o for pair in relation if code in pair for o in pair if o != code)

    return [
        Entry(
            shown.casefold(),
            shown,
            maybe(rnd, lambda: make_expression(rnd)),
            others(shown.casefold(), same),
            others(shown.casefold(), excludes),
            maybe(rnd, lambda: rnd.randint(1, 2)),
        )
        for shown in CODES_SHOWN
    ]


def make_meeting(rnd):
    first = FIRST + timedelta(days=rnd.randint(0, 9))
    last = first + timedelta(days=rnd.choice([0, 0, 1, 7, 12]))
    days = {rnd.randint(0, 6), rnd.randint(0, 6)}
    if rnd.random() < 0.5:
        days.add(first.weekday())
    starts = rnd.choice([0, 1, 570, 600, 1380, 1439])
    ends = rnd.choice([0, 1, 570, 571, 600, 1380, 1439])
    return Meeting(frozenset(days), starts, ends, first, last)


def make_courses(rnd, terms, entries):
    return [
        Course(
            number,
            "open",
            rnd.choice(terms),
            rnd.choice(entries) if rnd.random() < 0.85 else None,
            rnd.choice([None, "lecture", "lab"]),
            100,
            400,
            tuple(make_meeting(rnd) for _ in range(rnd.randint(0, 2))),
            maybe(rnd, lambda: make_expression(rnd, only_groups=True, depth=2), 0.3),
            maybe(rnd, lambda: "instructor", 0.2),
        )
        for number in range(1, 7)
    ]


def make_completion(rnd, entries, terms):
    kind = rnd.choice(["course", "course", "transfer", "test", "in-progress", "withdrawn"])
    if kind == "test":
        return Completion(kind, test="aleks", score=rnd.choice([None, 6949, 6950, 7000]))
    entry = rnd.choice(entries)
    return Completion(
        kind,
        entry.code,
        grade=rnd.choice([None, *GRADES.order, "X"]) if kind in ("course", "transfer") else None,
        credits=rnd.choice([0, 150, 400]),
        term=rnd.choice([None, "t0", *(term.code for term in terms)]),
        same_as=entry.same_as,
    )


def make_override(rnd, number, terms):
    rule = rnd.choice(CODES)
    about = rnd.choice(
        [
            {"course": rnd.randint(1, 6)},
            {"entry": rnd.choice(ENTRY_KEYS)},
            {"term": rnd.choice(terms).code},
        ]
    )
    is_limit = "exceeded" in rule or "minimum" in rule
    value = maybe(rnd, lambda: rnd.choice([2, 300, 700, 1000])) if is_limit else None
    if rule == "repeat-limit":
        value = maybe(rnd, lambda: rnd.choice([1, 2, 3]))
    expires_at = maybe(rnd, lambda: rnd.choice(MOMENTS), 0.3)
    return Override(number, rule, value=value, expires_at=expires_at, **about)


def make_student(rnd, courses, entries, terms):
    def held(course):
        return Held(course, rnd.random() < 0.75, rnd.choice([100, 150, 300, 400]))

    before = {course.id: held(course) for course in some(rnd, courses, 4)}
    stay = {i: one for i, one in before.items() if rnd.random() < 0.6}
    stay = {
        i: one._replace(credits=rnd.choice([100, 400])) if rnd.random() < 0.2 else one
        for i, one in stay.items()
    }
    free = [course for course in courses if course.id not in before]
    after = {**stay, **{course.id: held(course) for course in some(rnd, free, 3)}}
    return Student(
        9,
        frozenset(some(rnd, GROUPS)),
        [make_completion(rnd, entries, terms) for _ in range(rnd.randint(0, 4))],
        [
            Hold(n, "fee", "Pay.", None, frozenset(kinds), maybe(rnd, lambda: rnd.choice(MOMENTS)))
            for n, kinds in enumerate(some(rnd, [["add"], ["drop"], ["add", "drop"]], 2))
        ],
        [make_override(rnd, n, terms) for n in range(rnd.randint(0, 6))],
        before,
        after,
    )


def make_case(rnd):
    """A student, a moment and the settings."""
    terms, entries = make_terms(rnd), make_entries(rnd)
    courses = make_courses(rnd, terms, entries)
    settings = Settings(GRADES, text_refuses=rnd.random() < 0.3)
    return make_student(rnd, courses, entries, terms), rnd.choice(MOMENTS), settings


def make_roster(rnd):
    """Students, a moment and the settings. Most of the students add the same course and nothing
    else, and have neither holds nor overrides.
    """
    terms, entries = make_terms(rnd), make_entries(rnd)
    courses = make_courses(rnd, terms, entries)
    if rnd.random() < 0.8:
        open_to_all = Window(None, MOMENTS[0], MOMENTS[-1] + timedelta(days=1))
        term = replace(courses[0].term, windows=(open_to_all,), add_until=None)
        courses[0] = replace(courses[0], term=term)
    course, students = courses[0], []
    same_as = {entry.code: entry.same_as for entry in entries}
    for number in range(6):
        one = make_student(rnd, courses, entries, terms)._replace(id=number)
        if rnd.random() < 0.8:
            before = {i: held for i, held in one.before.items() if i != course.id}
            added = Held(course, rnd.random() < 0.75, course.credits_min)
            one = one._replace(before=before, after={**before, course.id: added})
        if rnd.random() < 0.8:
            one = one._replace(holds=[], overrides=[])
        if rnd.random() < 0.5:
            stored = orjson.dumps([completion[:-1] for completion in one.completions]).decode()
            one = one._replace(completions=StoredCompletions(stored, same_as))
        students.append(one)
    return students, rnd.choice(MOMENTS), Settings(GRADES, text_refuses=rnd.random() < 0.3)
