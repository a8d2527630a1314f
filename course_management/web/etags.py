"""Preconditions: If-Match and If-None-Match (RFC 9110 section 13) from a row's version."""

from __future__ import annotations

from typing import Protocol

from flask import request

from course_management.errors import Stale


class Tagged(Protocol):
    """Something with an entity tag: a version, and after a dot whatever else the answer shows."""

    @property
    def etag(self) -> str: ...


def require(current: Tagged) -> None:
    """Raise Stale where If-Match names another version than that of `current`, or If-None-Match names this one.

    Only the version counts, not what follows the dot; and a tag that a proxy made weak when it compressed the answer is
    taken for the strong one it came from (RFC 9110 would never match it, and every edit behind gzip would fail).
    """
    wanted, unwanted = request.headers.get("If-Match"), request.headers.get("If-None-Match")
    if wanted is not None and not _names(wanted, current):
        raise Stale
    if unwanted is not None and _names(unwanted, current):
        raise Stale("If-None-Match names the version that stands.")


def unchanged(tag: str) -> bool:
    """Whether the client has the representation with this tag already (If-None-Match, weak comparison)."""
    return "If-None-Match" in request.headers and request.if_none_match.contains_weak(tag)


def _names(header: str, current: Tagged) -> bool:
    version = current.etag.partition(".")[0]
    tags = (tag.strip().removeprefix("W/") for tag in header.split(","))
    return any(tag == "*" or tag.strip('"').partition(".")[0] == version for tag in tags)
