"""The marshmallow fields of the catalog and of the rules: codes, and the notation of conditions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields

from course_management.rules import expressions
from course_management.web.fields import Text


class Code(Text):
    """The code of a term or a catalog entry, which can be a part of an address."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(1, 32, also=[self._addressable], **kwargs)

    @staticmethod
    def _addressable(value: str) -> None:
        if "/" in value or value in (".", ".."):
            raise ValidationError('Must not contain a slash, and must not be "." or "..".')


class Expression(fields.Field[Any]):
    """A condition in the notation of the rules, or null for none. With `only_groups`, it may speak
    of groups only.
    """

    default_error_messages: dict[str, Any] = {"required": "This field is required."}

    def __init__(self, *, only_groups: bool = False, **kwargs: Any) -> None:
        self.only_groups = only_groups
        super().__init__(allow_none=True, **kwargs)

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
