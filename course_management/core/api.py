"""The prefix and the HTTP methods of the API, defined once for every package."""

from __future__ import annotations

# Every route exists with this prefix and without it. Links in responses have the prefix.
API_PREFIX = "/api/v1"

# The methods that the service knows (RFC 9110, section 9; RFC 5789).
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
