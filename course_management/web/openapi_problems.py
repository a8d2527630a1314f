"""Problem documents in OpenAPI: a schema for each problem code, and the responses of an operation.

In each schema `type` and `status` are constants, from which a generated client can tell the fields
of a problem document.
"""

from __future__ import annotations

from typing import Any

from apispec import APISpec

from course_management.core import errors
from course_management.core.api import API_PREFIX
from course_management.web.access import PUBLIC
from course_management.web.endpoint import Endpoint
from course_management.web.problems import HTTP_PROBLEMS, catalogue

# Any request can be refused with these statuses, by the service or by the proxy in front of it.
STATUSES_OF_ANY_REQUEST = (421, 429, 500, 502, 503, 504)
CODE_OF_WRITES_ONLY = "commit-uncertain"

_TEXTS = {
    "detail": ("An explanation of this case, for a person.", None),
    "instance": ("The path of the request.", f"{API_PREFIX}/students/1/enroll"),
    "request_id": ("The id of the request in the service's log.", "6f1c0a52"),
}


def declare(spec: APISpec) -> None:
    """Add a schema for each problem code to the components of `spec`."""
    for code, about in catalogue().items():
        spec.components.schema(_name(code) + "Problem", schema(code, about))


def codes_by_status(method: str, endpoint: Endpoint) -> dict[int, list[str]]:
    """The problem codes of an operation, by status in ascending order."""
    found: dict[int, list[str]] = {}
    known = catalogue()
    for code in _codes(method, endpoint, known):
        found.setdefault(known[code]["status"], []).append(code)
    return dict(sorted(found.items()))


def response(spec: APISpec, status: int, codes: list[str]) -> str:
    """Add a response with these codes to the components of `spec`; returns its name."""
    name = "Or".join(map(_name, codes))
    if name not in spec.components.responses:
        described = {
            "description": describe(codes),
            "headers": {name: name for name in headers(status)},
        }
        spec.components.response(name, described | {"content": content(codes)})
    return name


def describe(codes: list[str]) -> str:
    """The codes as a Markdown list in one line."""
    return ", ".join(f"`{code}`" for code in codes)


def content(codes: list[str]) -> dict[str, Any]:
    """The content of a response with one of these codes."""
    names = [_name(code) + "Problem" for code in codes]
    return {
        "application/problem+json": {"schema": names[0] if len(names) == 1 else {"oneOf": names}}
    }


def headers(status: int) -> list[str]:
    """The names of the headers of a problem response with this status."""
    names = ["X-Request-ID", "RateLimit-Policy"]
    if status == 429:
        names.append("RateLimit")
    if status in (429, 502, 503, 504):
        names.append("Retry-After")
    if status in (401, 403):
        names.append("WWW-Authenticate")
    return names


def _name(code: str) -> str:
    return "".join(word.capitalize() for word in code.split("-"))


def schema(code: str, about: dict[str, Any]) -> dict[str, Any]:
    """The JSON schema of a problem document, from the catalogue's entry for its code."""
    texts = {
        name: {"type": "string", "description": text, "example": example or about["title"]}
        for name, (text, example) in _TEXTS.items()
    }
    always = {
        "type": {
            "type": "string",
            "const": f"/problems/{code}",
            "description": "The address of a page that explains the problem.",
        },
        "title": {"type": "string", "example": about["title"]},
        "status": {"type": "integer", "const": about["status"]},
        **texts,
        **_fields(about["kind"], "always"),
    }
    properties = {**always, **_fields(about["kind"], "sometimes")}
    return {
        "type": "object",
        "description": about["title"],
        "required": list(always),
        "properties": properties,
    }


def _fields(kind: type[errors.Error], which: str) -> dict[str, Any]:
    """The fields that an error class and its bases declare in `always` or `sometimes`."""
    return {
        name: schema
        for base in reversed(kind.__mro__)
        for name, schema in vars(base).get(which, {}).items()
    }


def _codes(method: str, endpoint: Endpoint, known: dict[str, dict[str, Any]]) -> list[str]:
    kinds: list[type[errors.Error]] = [*endpoint.errors, errors.Invalid]
    if endpoint.scope != PUBLIC:
        kinds += [errors.NotAuthenticated, errors.TokenInvalid, errors.ScopeMissing]
    if endpoint.writes and not endpoint.compares_tags(method):
        kinds.append(errors.Stale)
    if endpoint.writes:
        kinds.append(errors.KeyReused)
    if endpoint.body:
        kinds.append(errors.Malformed)
    found = [kind.code for kind in kinds] + [HTTP_PROBLEMS[400][0]]
    if endpoint.is_list:
        found.append(HTTP_PROBLEMS[406][0])
    if endpoint.body:
        found += [HTTP_PROBLEMS[413][0], HTTP_PROBLEMS[415][0]]
    for code, about in known.items():
        if about["status"] in STATUSES_OF_ANY_REQUEST and (
            endpoint.writes or code != CODE_OF_WRITES_ONLY
        ):
            found.append(code)
    return list(dict.fromkeys(found))
