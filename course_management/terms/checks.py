"""The rules that the fields of a term keep together. Pure functions; they use no database.

A fault is a JSON pointer (RFC 6901) into the body and a sentence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from course_management.core.zones import NoSingleMoment, as_moment
from course_management.terms.models import Window

Fault = tuple[str, str]

DEADLINES = ("add_until", "drop_until", "withdraw_until")
LIMITS = ("min_credits", "max_credits", "max_courses")


def check_fields(term: Mapping[str, Any]) -> list[Fault]:
    """The faults in the dates, the limits and the time zone of a term. `term` has all its fields;
    a part has a `parent`.
    """
    faults = []
    if term["ends_on"] < term["starts_on"]:
        faults.append(("/ends_on", "Must not be before starts_on."))
    if term["parent"] is None:
        if term["time_zone"] is None:
            faults.append(("/time_zone", "A whole term needs a time zone."))
        low, high = term["min_credits"], term["max_credits"]
        if low is not None and high is not None and low > high:
            faults.append(("/max_credits", "Must not be less than min_credits."))
        return faults
    if term["time_zone"] is not None:
        detail = "Must be null or left out: a part of a term has the time zone of its whole term."
        faults.append(("/time_zone", detail))
    detail = "Must be null or left out: only a whole term has limits."
    return faults + [(f"/{name}", detail) for name in LIMITS if term[name] is not None]


def resolve_deadlines(
    term: Mapping[str, Any], zone_name: str | None
) -> tuple[dict[str, Any], list[Fault]]:
    """The deadlines of a term as moments, and their faults. Local times are in this time zone;
    without a zone they are left out.
    """
    found, faults = _resolve(term, DEADLINES, zone_name)
    for earlier, later in combinations(DEADLINES, 2):
        if found.get(earlier) and found.get(later) and found[later] < found[earlier]:
            faults.append((f"/{later}", f"Must not be before {earlier}."))
    return found, faults


def resolve_windows(
    windows: Sequence[Mapping[str, Any]], zone_name: str
) -> tuple[list[Window], list[Fault]]:
    """The windows with moments, in the order of `opens_at`, `closes_at` and `group`, and their
    faults. Local times are in this time zone.
    """
    found: dict[tuple[Any, ...], Window] = {}
    faults: list[Fault] = []
    for i, given in enumerate(windows):
        moments, wrong = _resolve(given, ("opens_at", "closes_at"), zone_name)
        faults += [(f"/windows/{i}{pointer}", detail) for pointer, detail in wrong]
        if len(moments) < 2:
            continue
        window: Window = {"group": given["group"], **moments}  # type: ignore[typeddict-item]
        order = (window["opens_at"], window["closes_at"], window["group"] or "")
        if window["closes_at"] <= window["opens_at"]:
            faults.append((f"/windows/{i}/closes_at", "Must be after opens_at."))
        if order in found:
            faults.append((f"/windows/{i}", "The list already has this window."))
        found[order] = window
    return [found[order] for order in sorted(found)], faults


def _resolve(
    given: Mapping[str, Any], names: Sequence[str], zone_name: str | None
) -> tuple[dict[str, Any], list[Fault]]:
    """The fields `names` of `given` as moments in UTC, and the faults of those left out."""
    found: dict[str, Any] = {}
    faults = []
    for name in names:
        value = given[name]
        if value is None or value.tzinfo is not None or zone_name is not None:
            try:
                found[name] = value and as_moment(value, zone_name or "UTC")
            except NoSingleMoment as error:
                faults.append((f"/{name}", str(error)))
    return found, faults
