"""Preconditions: compares If-Match and If-None-Match (RFC 9110, section 13) with a row's tag.

A tag begins with the id and the version of the row. It contains the id because the name in an
address can later belong to another row. The counts that the response shows may follow after a dot.
Writes compare only the part before the dot, which only an edit changes.
"""

from __future__ import annotations

import re
from typing import Protocol

from course_management.core.errors import Stale
from course_management.web.request_context import current

_TAG = r'(?:W/)?"([\x21\x23-\x7e]*)"'
_TAGS = re.compile(rf"\s*{_TAG}\s*(,\s*{_TAG}\s*)*")


class Tagged(Protocol):
    """An object with an entity tag."""

    @property
    def etag(self) -> str: ...


def require(row: Tagged) -> None:
    """Raise Stale if If-Match does not name the version of `row`, or if If-None-Match names it.

    Weak tags are compared like strong ones, unlike RFC 9110, section 8.8.3.2: proxies make a tag
    weak when they compress a response, and every edit behind such a proxy would fail.
    """
    version = row.etag.partition(".")[0]
    wanted, unwanted = (_versions(header) for header in ("If-Match", "If-None-Match"))
    if wanted is not None and not {"*", version} & wanted:
        raise Stale(
            "If-Match does not name the current version: somebody may have changed it since you "
            "read it."
        )
    if unwanted is not None and {"*", version} & unwanted:
        raise Stale("If-None-Match names the current version.")


def require_none() -> None:
    """Raise Stale if the request has If-Match, but what it names does not exist."""
    if "HTTP_IF_MATCH" in current().environ:
        raise Stale("If-Match names a version, but nothing exists at this address yet.")


def has_preconditions() -> bool:
    """Whether the request has If-Match or If-None-Match."""
    environ = current().environ
    return "HTTP_IF_MATCH" in environ or "HTTP_IF_NONE_MATCH" in environ


def unchanged(tag: str) -> bool:
    """Whether If-None-Match names this `tag`, which means that the client has the current response
    (RFC 9110, section 13.1.2; weak comparison).
    """
    request = current()
    return "HTTP_IF_NONE_MATCH" in request.environ and request.if_none_match.contains_weak(tag)


def _versions(header: str) -> set[str] | None:
    """The versions that a header names; empty if it is malformed, None if it was not sent."""
    text = current().headers.get(header)
    if text is None:
        return None
    if text.strip() == "*":
        return {"*"}
    return (
        {tag.partition(".")[0] for tag in re.findall(_TAG, text)}
        if _TAGS.fullmatch(text)
        else set()
    )
