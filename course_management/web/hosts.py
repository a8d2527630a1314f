"""While nobody has said who may use the service, it is this machine's: it answers to loopback names
only.

A page of another site may lead its own name to 127.0.0.1 (DNS rebinding). The browser then takes
the service for a part of that site and lets the page read and write; only the name in the request
tells.
"""

from __future__ import annotations

import re

from flask import Flask

from course_management.core.errors import Misdirected
from course_management.web.request_context import current

# RFC 6761 section 6.3, RFC 1122 section 3.2.1.3 and RFC 4291 section 2.5.3. A request without Host
# comes from no browser.
_LOOPBACK = re.compile(
    r"(?:(?:[a-z0-9-]+\.)*localhost\.?|127(?:\.[0-9]{1,3}){3}|\[::1\]|)(?::[0-9]*)?",
    re.ASCII | re.IGNORECASE,
)
_AUTHORITY = re.compile("[a-z]+://([^/?#]*)", re.ASCII | re.IGNORECASE)


def init_app(app: Flask) -> None:
    """Have `app` refuse what was not sent to a name of this machine. Called only where AUTH is
    not set.
    """
    app.before_request(_refuse_other_names)


def _refuse_other_names() -> None:
    """Raise Misdirected for another name in Host, or in the target, which then counts (RFC 9112
    section 3.2.2).
    """
    given = current().environ
    target = _AUTHORITY.match(given.get("RAW_URI", ""))
    if not _LOOPBACK.fullmatch(target[1] if target else given.get("HTTP_HOST", "")):
        raise Misdirected(f"{Misdirected.title} {Misdirected.remedy}")
