"""Without the setting AUTH, the service accepts only requests to loopback names, such as localhost.

This prevents DNS rebinding: another site can make its own name resolve to 127.0.0.1. The browser
then treats this service as a part of that site, and lets its pages read and write. Only the host
name in the request shows the difference.
"""

from __future__ import annotations

import re

from flask import Flask

from course_management.core.errors import Misdirected
from course_management.web.request_context import current

# RFC 6761, section 6.3; RFC 1122, section 3.2.1.3; RFC 4291, section 2.5.3. An empty name is
# accepted: browsers always send Host.
_LOOPBACK = re.compile(
    r"(?:(?:[a-z0-9-]+\.)*localhost\.?|127(?:\.[0-9]{1,3}){3}|\[::1\]|)(?::[0-9]*)?",
    re.ASCII | re.IGNORECASE,
)
_AUTHORITY = re.compile("[a-z]+://([^/?#]*)", re.ASCII | re.IGNORECASE)


def init_app(app: Flask) -> None:
    """Make `app` refuse requests to other names than loopback names. Call it only without AUTH."""
    app.before_request(_refuse_other_names)


def _refuse_other_names() -> None:
    """Raise Misdirected if the host is not a loopback name.

    The host is that of the absolute target, if the request has one, else the header Host (RFC 9112,
    section 3.2.2).
    """
    given = current().environ
    target = _AUTHORITY.match(given.get("RAW_URI", ""))
    if not _LOOPBACK.fullmatch(target[1] if target else given.get("HTTP_HOST", "")):
        raise Misdirected(f"{Misdirected.title} {Misdirected.remedy}")
