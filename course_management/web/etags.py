"""Preconditions: If-Match and If-None-Match (RFC 9110 section 13) from the tag of a row.

A tag is what identifies the version of a row (its id too: a name can come to mean another row),
then perhaps a dot and what else the answer shows. Only what stands before the dot says whether
somebody has edited the row.
"""

from __future__ import annotations

import re
from typing import Protocol

from course_management.core.errors import Stale
from course_management.web.request_context import current

_TAG = r'(?:W/)?"([\x21\x23-\x7e]*)"'
_TAGS = re.compile(rf"\s*{_TAG}\s*(,\s*{_TAG}\s*)*")


class Tagged(Protocol):
    """Something with an entity tag."""

    @property
    def etag(self) -> str: ...


def require(row: Tagged) -> None:
    """Raise Stale where If-Match names another version than that of `row`, or If-None-Match names
    this one.

    A tag that a proxy made weak when it compressed the answer is taken for the strong one it came
    from: RFC 9110 would never match it, and every edit behind gzip would fail.
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


def refuse_if_match() -> None:
    """Raise Stale where the request names a version of something that has none: it would be a
    promise not kept.
    """
    if "HTTP_IF_MATCH" in current().environ:
        raise Stale(
            "This address has no version that If-Match could name: send the request without it."
        )


def unchanged(tag: str) -> bool:
    """Whether the client has this representation already (If-None-Match, weak comparison)."""
    request = current()
    return "HTTP_IF_NONE_MATCH" in request.environ and request.if_none_match.contains_weak(tag)


def _versions(header: str) -> set[str] | None:
    """The versions that a header names; none where it is not one this service could have given."""
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
