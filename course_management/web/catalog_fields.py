"""The marshmallow fields of the catalog and of the rules: codes, and the notation of conditions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields

from course_management.rules import expressions
from course_management.web.fields import CONTROLS, Text


class Code(Text):
    """The code of a term or a catalog entry: 1 to 32 characters that can be a segment of an
    address. Proxies remove the segments `.` and `..` (RFC 3986, section 5.2.4).
    """

    # The rule of `_addressable` for OpenAPI.
    PATTERN = rf"^(?!\s*\.{{1,2}}\s*$)\s*[^\s/{CONTROLS}][^/{CONTROLS}]*\s*$"

    def __init__(self, **kwargs: Any) -> None:
        metadata = {"pattern": self.PATTERN} | kwargs.pop("metadata", {})
        super().__init__(1, 32, also=[self._addressable], metadata=metadata, **kwargs)

    @staticmethod
    def _addressable(code: str) -> None:
        if "/" in code:
            raise ValidationError('Must not have "/".')
        if code in (".", ".."):
            raise ValidationError('Must not be "." or "..": proxies remove them from addresses.')


class Expression(fields.Field[Any]):
    """A condition in the notation of the rules, or null for none. With `only_groups`, it may speak
    of groups only.
    """

    default_error_messages: dict[str, Any] = {"required": "This field is required."}

    def __init__(self, *, only_groups: bool = False, **kwargs: Any) -> None:
        self.only_groups = only_groups
        super().__init__(allow_none=True, **kwargs)

    def json_schema(self) -> dict[str, Any]:
        """The JSON Schema: an object. docs/rules.md explains the notation."""
        return {"type": ["object", "null"], "additionalProperties": True}

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> Any:
        faults: dict[str, Any] = {}
        for pointer, detail in expressions.faults(value, only_groups=self.only_groups):
            inner = faults
            for part in pointer.split("/")[1:]:
                inner = inner.setdefault(part, {})
            inner.setdefault("_schema", []).append(detail)
        if faults:
            raise ValidationError(faults)
        return value
