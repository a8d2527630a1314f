"""Checks of problem documents for all tests."""

from __future__ import annotations

from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from course_management.web import openapi_problems
from course_management.web.problems import catalogue


@cache
def schema(code: str) -> Draft202012Validator:
    """The declared schema of a problem code."""
    return Draft202012Validator(openapi_problems.schema(code, catalogue()[code]))


def problem(answer: Any) -> tuple[int, str]:
    """The status and the code of a problem document, after checking that it is one (RFC 9457)."""
    document = answer.json() if callable(answer.json) else answer.json
    headers = answer.headers
    status = getattr(answer, "status_code", None) or answer.status
    assert headers["Content-Type"] == "application/problem+json", headers
    assert {"type", "title", "status", "detail", "instance", "request_id"} <= set(document)
    assert document["status"] == status
    assert document["request_id"] == headers["X-Request-ID"]
    assert document["type"].startswith("/problems/")
    if status == 503:
        assert int(headers["Retry-After"]) > 0
    code = document["type"].removeprefix("/problems/")
    if code in catalogue():
        schema(code).validate(document)
        assert set(document) <= set(schema(code).schema["properties"]), (
            "a field that OpenAPI does not declare"
        )
    return status, code


def faults(answer):
    """The pointers and details of a 422."""
    assert problem(answer) == (422, "invalid"), answer.text
    return {fault["pointer"]: fault["detail"] for fault in answer.json["errors"]}
