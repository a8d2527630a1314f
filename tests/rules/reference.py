"""A reference evaluator of the rules: as dumb as possible, and written apart.

It compares every minute of every date and tries every subset. Rules about a set judge the whole set
before and after, and report the difference. It imports nothing of the rules.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import combinations

from tests.rules.reference_conditions import Conditions

ONE_DAY = timedelta(days=1)


class Reference(Conditions):
    """One student at one moment. `broken`, `warnings` and `withdrawals` are sets of tuples."""

    def __init__(self, student, moment, settings):
        self.student, self.settings = student, settings
        self.moment = moment.timestamp()
        self.before, self.after = dict(student.before), dict(student.after)
        self.added = [h.course for i, h in self.after.items() if i not in self.before]
        self.changed = [
            h.course
            for i, h in self.after.items()
            if i in self.before and self.before[i].credits != h.credits
        ]
        self.dropped = [
            h.course for i, h in self.before.items() if h.is_seat and i not in self.after
        ]
        self.broken, self.warnings, self.withdrawals = set(), set(), set()
        for rule in (self.windows, self.holds, self.add_deadlines, self.drop_deadlines):
            rule()
        for rule in (self.conditions, self.needed, self.excluded, self.twice, self.conflicts):
            rule()
        for rule in (self.most_credits, self.most_courses, self.least_credits, self.gates):
            rule()
        self.repeats()

    # Overrides

    def live(self, rule):
        return [
            o
            for o in self.student.overrides
            if o.rule == rule and not (o.expires_at and o.expires_at.timestamp() <= self.moment)
        ]

    @staticmethod
    def covers(override, course):
        names = {("course", course.id), ("term", course.term.code)}
        names.add(("term", course.term.whole_code))
        if course.entry:
            names.add(("entry", course.entry.code))
        said = {(kind, getattr(override, kind)) for kind in ("course", "entry", "term")}
        return bool(said & names)

    def report(self, rule, course, about, *others):
        """Report a fault, unless an override lifts the rule for one of the courses."""
        lifted = any(self.covers(o, c) for o in self.live(rule) for c in (course, *others))
        if not lifted:
            self.broken.add((rule, course.id, about))
        return not lifted

    # Times

    def passed(self, until):
        return until is not None and self.moment >= until.timestamp()

    def windows(self):
        for course in self.added + self.changed:
            mine = [
                (w.opens_at.timestamp(), w.closes_at.timestamp())
                for w in course.term.windows
                if w.group in {None, *self.student.groups}
            ]
            if not any(opens <= self.moment < closes for opens, closes in mine):
                later = [opens for opens, closes in mine if self.moment < opens < closes]
                self.report("registration-not-open", course, min(later, default=None))

    def holds(self):
        for hold in self.student.holds:
            blocked = []
            if "add" in hold.blocks:
                blocked += self.added + self.changed
            if "drop" in hold.blocks:
                blocked += self.dropped
            overrides = self.live("hold")
            blocked = [c for c in blocked if not any(self.covers(o, c) for o in overrides)]
            if blocked and not self.passed(hold.until):
                ids = tuple(sorted(c.id for c in blocked))
                self.broken.add(("hold", None, (hold.id, ids)))

    def add_deadlines(self):
        for course in self.added + self.changed:
            if self.passed(course.term.add_until):
                self.report("add-deadline-passed", course, None)

    def drop_deadlines(self):
        for course in self.dropped:
            if not self.passed(course.term.drop_until):
                continue
            last = course.term.withdraw_until
            if any(self.covers(o, course) for o in self.live("drop-deadline-passed")):
                continue
            if last is not None and not self.passed(last):
                self.withdrawals.add((self.student.id, course.id))
            else:
                self.report("drop-deadline-passed", course, None)

    # Sets

    def pairs(self, is_fault):
        """The pairs of courses that are a fault of the set as it would be, and not as it is."""
        faults = [
            {
                frozenset((a, b))
                for a, b in combinations(sorted(held), 2)
                if is_fault(held[a].course, held[b].course)
            }
            for held in (self.after, self.before)
        ]
        new = {course.id for course in self.added}
        for pair in faults[0] - faults[1]:
            # Of the new ones, the greatest id.
            first = max(pair & new)
            (second,) = pair - {first}
            yield self.after[first].course, self.after[second].course

    def excluded(self):
        def is_fault(one, other):
            if not one.entry or not other.entry:
                return False
            mine = {one.entry.code, *one.entry.same_as}
            its = {other.entry.code, *other.entry.same_as}
            return bool(one.entry.excludes & its or other.entry.excludes & mine)

        for course, other in self.pairs(is_fault):
            self.report("excluded-by", course, (other.entry.code, other.id), other)
        for course in self.added:
            for code in course.entry.excludes if course.entry else ():
                if any(self.is_passed(c) and self.names(code, c) for c in self.student.completions):
                    self.report("excluded-by", course, (code, None))

    @staticmethod
    def same(one, other):
        a, b = one.entry, other.entry
        return bool(a and b and (a.code == b.code or a.code in b.same_as or b.code in a.same_as))

    def twice(self):
        for course, other in self.pairs(
            lambda a, b: (
                self.same(a, b) and a.component == b.component and a.term.whole == b.term.whole
            )
        ):
            self.report("already-taking", course, other.id, other)

    @staticmethod
    def minutes(course):
        """Every minute of every meeting."""
        found = set()
        for meeting in course.meetings:
            day = meeting.first_on
            while day <= meeting.last_on:
                if day.weekday() in meeting.days:
                    at, left = (day, meeting.starts), (meeting.ends - meeting.starts - 1) % 1440 + 1
                    while left:
                        found.add(at)
                        at = (at[0], at[1] + 1) if at[1] < 1439 else (at[0] + ONE_DAY, 0)
                        left -= 1
                day += ONE_DAY
        return found

    def conflicts(self):
        minutes = {i: self.minutes(h.course) for i, h in {**self.before, **self.after}.items()}
        for course, other in self.pairs(lambda a, b: bool(minutes[a.id] & minutes[b.id])):
            first = min(minutes[course.id] & minutes[other.id])[0].isoformat()
            self.report("time-conflict", course, (other.id, first), other)

    # Limits

    def most(self, rule, limit_name, measure):
        for whole in {h.course.term.whole for h in self.after.values()}:
            courses = self.added + self.changed
            if whole not in {c.term.whole for c in courses}:
                continue
            inside = [h for h in self.after.values() if h.course.term.whole == whole]
            was_inside = [h for h in self.before.values() if h.course.term.whole == whole]
            limit = getattr(inside[0].course.term, limit_name)
            if limit is None:
                continue
            if sum(map(measure, inside)) <= max(limit, sum(map(measure, was_inside))):
                continue
            for o in self.live(rule):
                if o.value is not None and any(self.covers(o, h.course) for h in inside):
                    limit = max(limit, o.value)
                if o.value is None:
                    inside = [h for h in inside if not self.covers(o, h.course)]
                    was_inside = [h for h in was_inside if not self.covers(o, h.course)]
            total = sum(map(measure, inside))
            if total > limit and total > sum(map(measure, was_inside)):
                self.broken.add((rule, None, (whole, total, limit)))

    def most_credits(self):
        self.most("credits-exceeded", "max_credits", lambda h: h.credits)

    def most_courses(self):
        self.most("courses-exceeded", "max_courses", lambda h: 1)

    def least_credits(self):
        everywhere = {**self.after, **self.before}
        for whole in {h.course.term.whole for h in everywhere.values()}:
            before, after = (
                {i: h for i, h in held.items() if h.course.term.whole == whole}
                for held in (self.before, self.after)
            )
            lost = [
                h.course
                for i, h in before.items()
                if (i in after and after[i].credits < h.credits) or (i not in after and h.is_seat)
            ]
            late = [c for c in lost if self.passed(c.term.add_until)]
            if not late:
                continue
            limit = late[0].term.min_credits
            if limit is None:
                continue
            left = late
            for o in self.live("credits-below-minimum"):
                if any(self.covers(o, c) for c in late):
                    if o.value is None:
                        left = [c for c in left if not self.covers(o, c)]
                    else:
                        limit = min(limit, o.value)
            total, was = (sum(h.credits for h in held.values()) for held in (after, before))
            if left and total < limit and total < was:
                self.broken.add(("credits-below-minimum", None, (whole, total)))

    def gates(self):
        for course in self.added:
            if course.consent:
                self.report("consent-required", course, None)
            if course.open_to is not None:
                if not self.holds_true(course.open_to, course, self.after):
                    self.report("restricted", course, None)
                else:
                    self.warn("restricted", course.open_to, course)

    def repeats(self):
        for course in self.added:
            entry = course.entry
            if not entry or entry.max_attempts is None:
                continue
            whole_of = {
                h.course.term.code: h.course.term.whole_code
                for h in (*self.before.values(), *self.after.values())
            }
            done = {
                whole_of.get(c.term, c.term) or ("unknown", n)
                for n, c in enumerate(self.student.completions)
                if c.kind != "test"
                and ({c.entry, *c.same_as} & {entry.code} or c.entry in entry.same_as)
            }
            attempts_before, attempts_after = (
                done
                | {h.course.term.whole_code for h in held.values() if self.same(h.course, course)}
                for held in (self.before, self.after)
            )
            worse = course.term.whole_code not in attempts_before
            enough = any(
                self.covers(o, course) and (o.value is None or len(attempts_after) <= o.value)
                for o in self.live("repeat-limit")
            )
            if worse and len(attempts_after) > entry.max_attempts and not enough:
                self.broken.add(("repeat-limit", course.id, len(attempts_after)))
