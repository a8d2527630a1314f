"""Routing on the path as the client encoded it, and the converters of ids and course names.

WSGI passes a decoded path, in which "Input%2FOutput" and "Input/Output" look the same. gunicorn and
werkzeug also pass the undecoded target (RAW_URI). The service routes on this target and decodes
each segment after it has matched the route. So course names may contain slashes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote, unquote

from flask import Flask
from werkzeug.routing import BaseConverter

from course_management.core import text
from course_management.db.base import MAX_ID

# A segment that cannot name a row is treated as this id. Ids begin at 1, so no row has it.
NO_ID = 0


class RawPath:
    """WSGI middleware: sets PATH_INFO to the path as the client encoded it."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self.app = app

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        target = environ.get("RAW_URI") or quote(environ.get("PATH_INFO", ""), encoding="latin-1")
        if not target.startswith("/"):  # absolute form (RFC 9112, section 3.2.2), or "*"
            target = "/" + re.sub("^[a-z]+://[^/?]*/?", "", target, flags=re.IGNORECASE)
        path = target.partition("?")[0].partition("#")[0]
        environ["PATH_INFO"] = path.removeprefix(environ.get("SCRIPT_NAME", ""))
        return self.app(environ, start_response)


def as_id(segment: str) -> int:
    """The id in a path segment, or NO_ID if the segment is not an id."""
    return (
        int(segment)
        if re.fullmatch("[1-9][0-9]{0,18}", segment) and int(segment) <= MAX_ID
        else NO_ID
    )


class IdConverter(BaseConverter):
    """A path segment that names a row by its id. `batch` is no id but an address of its own, which
    answers 405 to the methods that it does not have.
    """

    regex, part_isolating = "(?!batch$)[^/]+", True

    def to_python(self, value: str) -> int:
        return as_id(value)


class CourseConverter(BaseConverter):
    """A path segment that names a course, unchanged.

    Routing happens before access is checked. The segment is decoded later, by `as_course`, so that
    clients without access cannot cause work.
    """


def as_course(segment: str) -> int | str:
    """The id of a course (if the segment consists of ASCII digits) or its name (otherwise).

    Returns NO_ID for a segment that cannot name a course.
    """
    try:
        name = unquote(segment, errors="strict")
        cleaned = text.clean(name)
    except (UnicodeDecodeError, text.TooLong, text.TooManyMarks):
        return NO_ID
    if re.fullmatch("[0-9]+", name):
        return as_id(name)
    return NO_ID if text.has_control(name) else cleaned


def as_code(segment: str) -> str:
    """The code or the external id in a path segment. Returns an empty text, which no row has, for a
    segment that cannot be one.
    """
    try:
        code = text.clean(unquote(segment, errors="strict"))
    except (UnicodeDecodeError, text.TooLong, text.TooManyMarks):
        return ""
    return "" if text.has_control(code) else code


def init_app(app: Flask) -> None:
    """Make `app` route on undecoded paths, with the converters `id` and `course`."""
    app.wsgi_app = RawPath(app.wsgi_app)  # type: ignore[method-assign]  # the way Flask documents
    app.url_map.merge_slashes = False  # "a//b" is not "a/b"
    app.url_map.converters |= {"id": IdConverter, "course": CourseConverter}
