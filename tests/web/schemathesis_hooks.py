"""A check for schemathesis: if a request fits the OpenAPI document and the service refuses it, the
reason must be a rule that no schema can state.
"""

from __future__ import annotations

import re
from typing import Any

import schemathesis

# Faults that a request may have although it fits its schema, each with the reason.
BEYOND_SCHEMAS = {
    # Unicode's table of invisible characters is too long for a readable pattern.
    r"Must not be blank\.",
    # A schema counts characters before trimming and NFC, the service afterwards.
    r"Must have \d+ to \d+ characters\.",
    # A schema does not count combining marks (UAX #15, stream-safe text).
    r".*combining marks.*",
    # The body of a change may contain the id of the path, but no other id.
    r"Must be \d+, the id of the resource in the address, or be left out\.",
    # A body may contain the external id of the path, but no other.
    r"Must be (.|\n)*, the external id in the address, or be left out\.",
    # A PUT that creates needs fields that a PUT that changes may leave out.
    r"This field is required\.",
    # A cursor is valid only for the list that gave it.
    r"This cursor does not belong to this list.*",
    # Generated clients have no good type for "one of two lists", and a schema cannot compare two.
    r"Name a course in `add` or in `drop`\.",
    r"Name each course only once\.",
    r"Send either `student_ids` or `\"all\": true`\.",
    r"Send either `(course|student)_ids` or `(course|student)_external_ids`\.",
    # A schema compares no two items of a list.
    r"Another item has this (external id|e-mail address)\.",
    r"Must be another course\.",
    # Which fields of a completion and of an override fit together depends on their values.
    r"Send either `catalog_code` or `test`\.",
    r"Must be test for a test, and another kind for a catalog code\.",
    r"Only these kinds have a grade: .*",
    r"Only a test has a score\.",
    r"Send exactly one of `course_id`, `catalog_code` and `term`\.",
    r"These rules have a value, and no others: .*",
    r"Must be a whole number for this rule\.",
    r"Must be at most 99\.99 for this rule\.",
    # "multipleOf": 0.01 is wrong for floating-point numbers in most validators.
    r"Must be a number from 0 to [0-9.]+ with at most two decimals\.",
    # A date-time of JSON Schema may be a leap second, or have a year beyond 9999 in UTC.
    r"Must be a time with its offset, such as 2026-09-01T08:00:00Z\.",
    # A schema cannot say which days a month has, and the format `date` does not limit the year.
    r"Must be a (date|time) of the years 1900 to 2199, such as .*",
    # `multipleOf` is unreliable for binary fractions.
    r"Must have at most two decimals\.",
    # The names of all time zones would make an enum of 598 values.
    r"Must be the IANA name of a time zone, such as .*",
    # A schema cannot compare the fields of a term or of a window.
    r"Must not be before (starts_on|add_until|drop_until)\.",
    r"Must not be less than min_credits\.",
    r"Must be after opens_at\.",
    r"The list already has this window\.",
    r"A whole term needs a time zone\.",
    r"Must be null or left out: .*",
    r".* (does not exist|exists twice) in .*, because the clocks go .*",
    # A schema cannot compare the fields of a course, of a meeting or of a catalog entry.
    r"Only a course of a term has this field\. .*",
    r"Must not be below credits_min, .*",
    r"Must differ from starts\.",
    r"Must not be before first_on\.",
    r"An entry cannot name itself\.",
    # The term and the credits of a course are stored.
    r"Must be a course of the term\.",
    r"Course \d+ (belongs to no term, so it has no|has \S+ to \S+) credits\.",
    # A schema of a body does not know the query.
    r"Say why the rules are skipped\.",
    # What a term can become depends on the other terms.
    r"A term cannot be a part of itself\.",
    r"Must be a whole term\. .*",
    r"This term has (parts|windows), .*",
    # Schemas do not know that a parameter can be given twice.
    r"Send this parameter only once\.",
}

# The fields of conditions. Their notation is recursive, and clients generated from a recursive
# schema are hard to use. So the document says only that they are objects.
CONDITIONS = ("/prerequisites", "/open_to")


@schemathesis.hook
def filter_case(ctx: Any, case: Any) -> bool:
    """Leave out invalid requests that become valid by trimming: schemas count spaces at the ends of
    a text, and the service does not (tests/web/test_bad_input.py).
    """
    if case.meta is None or case.meta.generation.mode.is_positive:
        return True
    return not (_is_padded(case.query) or _is_padded(case.body))


def _is_padded(value: Any) -> bool:
    """Whether a text in `value` has spaces at its ends."""
    if isinstance(value, dict):
        return any(map(_is_padded, value.values()))
    if isinstance(value, list):
        return any(map(_is_padded, value))
    return isinstance(value, str) and value != value.strip()


@schemathesis.check
def refusal_is_beyond_the_schema(ctx: Any, response: Any, case: Any) -> None:
    """Fail for a 422 whose faults the document should have declared."""
    if (
        response.status_code != 422
        or case.meta is None
        or not case.meta.generation.mode.is_positive
    ):
        return
    for fault in response.json().get("errors", []):
        if fault.get("pointer", "").startswith(CONDITIONS):
            continue
        beyond = any(re.fullmatch(rule, fault["detail"]) for rule in BEYOND_SCHEMAS)
        assert beyond, f"The document does not say that this is refused: {fault}"
