"""Fields for dates, times and time zones in requests."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from marshmallow import ValidationError, fields

from course_management.core.zones import zone_names
from course_management.web.fields import Text

_DATE = "(19|20|21)[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_HOUR = "([01][0-9]|2[0-3])"
_TIME = rf"{_HOUR}:[0-5][0-9](:[0-5][0-9](\.[0-9]{{1,6}})?)?"
_OFFSET = f"(Z|[+-]{_HOUR}:[0-5][0-9])"


class Date(fields.Date):
    """A date (ISO 8601) of the years 1900 to 2199, such as 2026-09-01."""

    RULE = "Must be a date of the years 1900 to 2199, such as 2026-09-01."

    def __init__(self, **kwargs: Any) -> None:
        messages: dict[str, Any] = {"required": "This field is required.", "null": self.RULE}
        super().__init__(error_messages=messages, **kwargs)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> date:
        if type(value) is str and re.fullmatch(_DATE, value):
            try:
                return date.fromisoformat(value)
            except ValueError:
                pass
        raise ValidationError(self.RULE)


class TimeOfDay(fields.String):
    """A local time of minutes, such as 09:30, from 00:00 to 23:59. It loads as the same text."""

    RULE = "Must be a time such as 09:30."
    _FORM = f"{_HOUR}:[0-5][0-9]"

    def __init__(self, **kwargs: Any) -> None:
        messages: dict[str, Any] = {"required": "This field is required.", "null": self.RULE}
        metadata = {"pattern": f"^{self._FORM}$", "example": "09:30"} | kwargs.pop("metadata", {})
        super().__init__(error_messages=messages, metadata=metadata, **kwargs)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        if type(value) is str and re.fullmatch(self._FORM, value):
            return value
        raise ValidationError(self.RULE)


class LocalOrMoment(fields.String):
    """A time with an offset (RFC 3339), or without one: then it is a local time, which loads as a
    datetime without a zone. The service turns it into a moment (core/zones.py).
    """

    RULE = (
        "Must be a time of the years 1900 to 2199, such as 2026-09-01T08:00:00Z, or "
        "2026-09-01T08:00:00 in the time zone of the term."
    )
    PATTERN = f"^{_DATE}T{_TIME}{_OFFSET}?$"

    def __init__(self, **kwargs: Any) -> None:
        messages: dict[str, Any] = {"required": "This field is required.", "null": self.RULE}
        metadata = {"example": "2026-09-01T08:00:00", "pattern": self.PATTERN}
        metadata |= kwargs.pop("metadata", {})
        super().__init__(error_messages=messages, metadata=metadata, **kwargs)

    # The base class declares a text, which is the type in OpenAPI.
    def _deserialize(  # type: ignore[override]
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> datetime:
        if type(value) is str and re.fullmatch(f"{_DATE}T{_TIME}{_OFFSET}?", value):
            try:
                return datetime.fromisoformat(value)
            except ValueError:
                pass
        raise ValidationError(self.RULE)


def _known(name: str) -> None:
    if name not in zone_names():
        raise ValidationError("Must be the IANA name of a time zone, such as Europe/Berlin.")


class TimeZone(Text):
    """The IANA name of a time zone, with its upper and lower case."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(1, 64, also=[_known], **kwargs)
