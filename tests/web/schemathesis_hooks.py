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
    # A cursor is valid only for the list that gave it.
    r"This cursor is not of this list: .*",
    # Schemas do not know that a parameter can be given twice.
    r"Give this parameter once\.",
}


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
