"""A reference evaluator of the rules: as dumb as possible, and written apart.

It compares every minute of every date and tries every subset. Rules about a set judge the whole set
before and after, and report the difference. It imports only the facts.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import combinations

ONE_DAY = timedelta(days=1)


def fold(code):
    return " ".join(code.casefold().split(" ")).strip()


class Reference:
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

    # Conditions

    def is_passed(self, completion, least=None):
        grades = self.settings.grades
        if completion.kind not in ("course", "transfer"):
            return False
        if completion.grade is None:
            return least is None
        good = grades.order[: grades.passing]
        if least is not None:
            better = grades.order[: grades.order.index(least) + 1] if least in grades.order else ()
            good = [grade for grade in good if grade in better]
        return completion.grade in good

    def names(self, code, completion):
        """Whether a completion is of an entry, or of one that matches a pattern."""
        codes = {completion.entry, *completion.same_as} - {None}
        return self.matches(code, codes)

    @staticmethod
    def matches(code, codes):
        if code.endswith("*"):
            return any(one[: len(code) - 1] == code[:-1] for one in codes)
        return code in codes

    def holds_earlier(self, code, course, held):
        """Whether the set has the entry in an earlier part of the term of `course`."""
        for one in (h.course for h in held.values()):
            if one.entry is None or not self.matches(code, {one.entry.code, *one.entry.same_as}):
                continue
            term = one.term
            if term.whole == course.term.whole and term.id != term.whole:
                day = term.starts_on
                while day < course.term.starts_on and day <= term.ends_on:
                    day += ONE_DAY
                if day > term.ends_on:
                    return True
        return False

    def holds_beside(self, code, course, held):
        return any(
            h.is_seat
            and h.course.id != course.id
            and h.course.term.whole == course.term.whole
            and h.course.entry is not None
            and code in {h.course.entry.code, *h.course.entry.same_as}
            for h in held.values()
        )

    def leaf(self, node, course, held, provisional, texts):
        completions = self.student.completions
        if "group" in node:
            return node["group"] in self.student.groups
        if "text" in node:
            return texts and not self.settings.text_refuses
        if "credits" in node:
            earned = sum(c.credits for c in completions if c.kind == "test" or self.is_passed(c))
            if provisional:
                earned += sum(c.credits for c in completions if c.kind == "in-progress")
            return earned >= node["credits"] * 100
        if "test" in node:
            scores = [
                c.score for c in completions if c.kind == "test" and c.test == fold(node["test"])
            ]
            return any(
                "min" not in node or (s is not None and s >= node["min"] * 100) for s in scores
            )
        code, least = fold(node.get("course", node.get("course_like"))), node.get("min_grade")
        found = [c for c in completions if self.names(code, c)]
        if any(self.is_passed(c, least) for c in found):
            return True
        if node.get("concurrent") and self.holds_beside(code, course, held):
            return True
        if not provisional:
            return False
        if any(c.kind == "in-progress" for c in found):
            return True
        return not node.get("concurrent") and self.holds_earlier(code, course, held)

    def holds_true(self, node, course, held, *, provisional=True, texts=True, given=()):
        """Whether an expression is true. Leaves of a kind in `given` count as true: True for those
        with `concurrent`, False for the others.
        """
        nested = node.get("all") or node.get("any") or node.get("of")
        if nested is None:
            if bool(node.get("concurrent")) in given:
                return True
            return self.leaf(node, course, held, provisional, texts)
        count = {"all": len(nested), "any": 1}.get(next(iter(node)), node.get("at_least"))
        options = {"provisional": provisional, "texts": texts, "given": given}
        return any(
            all(self.holds_true(one, course, held, **options) for one in some)
            for some in combinations(nested, count)
        )

    def lacks_prerequisite(self, course, held):
        wanted = course.entry and course.entry.prerequisites
        return bool(wanted) and not self.holds_true(wanted, course, held, given=[True])

    def lacks_corequisite(self, course, held):
        wanted = course.entry and course.entry.prerequisites
        if not wanted or self.holds_true(wanted, course, held):
            return False
        alone = not self.holds_true(wanted, course, held, given=[False])
        return alone or not self.lacks_prerequisite(course, held)

    def warn(self, rule, wanted, course):
        if not self.holds_true(wanted, course, self.after, provisional=True, texts=False):
            if self.holds_true(wanted, course, self.after):
                self.warnings.add((rule, course.id, "unverified"))
        elif not self.holds_true(wanted, course, self.after, provisional=False, texts=False):
            self.warnings.add((rule, course.id, "provisional"))

    def conditions(self):
        for course in self.added:
            if self.lacks_prerequisite(course, self.after):
                self.report("prerequisite-missing", course, None)
            elif course.entry and course.entry.prerequisites:
                self.warn("prerequisite-missing", course.entry.prerequisites, course)
            if self.lacks_corequisite(course, self.after):
                self.report("corequisite-missing", course, None)

    def concurrent_codes(self, node):
        if node.get("concurrent"):
            yield fold(node["course"])
        for one in node.get("all", []) + node.get("any", []) + node.get("of", []):
            yield from self.concurrent_codes(one)

    def needed(self):
        for i, held in self.after.items():
            course = held.course
            if i not in self.before or not course.entry or not course.entry.prerequisites:
                continue
            if self.lacks_corequisite(course, self.before):
                continue
            if self.lacks_corequisite(course, self.after):
                codes = set(self.concurrent_codes(course.entry.prerequisites))
                for dropped in self.dropped:
                    if (
                        dropped.entry
                        and {dropped.entry.code, *dropped.entry.same_as} & codes
                        and dropped.term.whole == course.term.whole
                    ):
                        self.report("required-by", dropped, i)

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
            if worse and len(attempts_after) > entry.max_attempts:
                self.report("repeat-limit", course, len(attempts_after))
