"""The part of the reference evaluator that judges conditions. See reference.py."""

from __future__ import annotations

from datetime import timedelta
from itertools import combinations

ONE_DAY = timedelta(days=1)


def fold(code):
    return code.casefold().strip()


class Conditions:
    """Judges expressions by trying every subset, and leaves one by one."""

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
