"""A check for schemathesis: the service refuses a request that fits the document only for a rule
that no schema can state.
"""

from __future__ import annotations

import re
from typing import Any

import schemathesis

# A fault that a request may have although it fits its schema, and why the schema cannot say so.
BEYOND_SCHEMAS = {
    # Which characters show nothing is a table of Unicode, longer than a readable pattern.
    r"Must not be blank\.",
    # A schema counts characters as they are sent; the service, after trimming and NFC.
    r"Must have \d+ to \d+ characters\.",
    # A schema does not count combining marks (UAX #15, stream-safe text).
    r".*combining marks.*",
    # The body of a change may repeat the id that the path names, and no other.
    r"Must be \d+, the id of the addressed resource, or be left out\.",
    # A cursor is valid only for the list that gave it.
    r"This cursor is not of this list: .*",
    # Schemas do not know that a parameter can be given twice.
    r"Give this parameter once\.",
}


@schemathesis.hook
def filter_case(ctx: Any, case: Any) -> bool:
    """Leave out wrong requests that trimming makes right: schemas count spaces at the ends of a
    text, the service does not (tests/web/test_bad_input.py).
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
        beyond = any(re.fullmatch(rule, fault["detail"]) for rule in BEYOND_SCHEMAS)
        assert beyond, f"The document does not say that this is refused: {fault}"
