"""The OpenAPI document: names, types and examples that generated clients and /docs can rely on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from course_management.core.principal import SCOPES
from course_management.web import openapi_problems
from course_management.web.problems import catalogue

ROOT = Path(__file__).parent.parent.parent
OPERATION_ID = re.compile(
    "^(get|list|create|update|upsert|patch|replace|delete|enroll|drop|change|check|cancel|move|reinstate"
    "|add|remove|release|revoke)([A-Z][a-z]+)+$"
)
ANY_OPERATION = {
    "429": "too-many-requests",
    "502": "bad-gateway",
    "503": "overloaded",
    "504": "gateway-timeout",
}


@pytest.fixture
def document(client) -> dict[str, Any]:
    """The document of a service that everybody may use."""
    return dict(client.get("/openapi.json").json)


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each operation with its path and its method."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def resolve(document: dict[str, Any], thing: dict[str, Any]) -> dict[str, Any]:
    """The target of a `$ref`, or the thing itself."""
    if "$ref" not in thing:
        return thing
    found: Any = document
    for name in thing["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return dict(found)


def schemas(thing: Any) -> Iterator[dict[str, Any]]:
    """Every JSON schema below `thing` that has a type."""
    if isinstance(thing, dict):
        if "type" in thing and not isinstance(thing["type"], dict):
            yield thing
        for inner in thing.values():
            yield from schemas(inner)
    elif isinstance(thing, list):
        for inner in thing:
            yield from schemas(inner)


def answers(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The schemas of bodies that the service sends, by name."""
    found: dict[str, dict[str, Any]] = {}

    def collect(thing: Any) -> None:
        if isinstance(thing, dict):
            if (
                name := str(thing.get("$ref", "")).removeprefix("#/components/schemas/")
            ) in document["components"]["schemas"]:
                found[name] = document["components"]["schemas"][name]
            for inner in thing.values():
                collect(inner)
        elif isinstance(thing, list):
            for inner in thing:
                collect(inner)

    for _, _, operation in operations(document):
        collect([resolve(document, response) for response in operation["responses"].values()])
    return found


def test_operation_ids_are_unique_and_name_a_verb_and_a_noun(document):
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids)) == 73
    assert [name for name in ids if not OPERATION_ID.match(name)] == []
    assert {
        "getCourse",
        "listCourses",
        "createStudent",
        "enrollStudent",
        "replaceStudentCourses",
    } <= set(ids)
    course = document["paths"]["/courses/{course}"]
    assert (course["put"]["operationId"], course["patch"]["operationId"]) == (
        "updateCourse",
        "patchCourse",
    )


@pytest.mark.parametrize(("status", "code"), ANY_OPERATION.items())
def test_every_operation_declares_the_refusals_that_any_request_can_get(document, status, code):
    for path, method, operation in operations(document):
        assert status in operation["responses"], (method, path)
        response = resolve(document, operation["responses"][status])
        assert f"`{code}`" in response["description"], (method, path)
        assert resolve(document, response["headers"]["Retry-After"])["schema"]["type"] == "integer"
        assert "application/problem+json" in response["content"]
        assert ("RateLimit" in response["headers"]) == (status == "429")


def test_every_code_has_one_schema_with_a_constant_type(document):
    found = document["components"]["schemas"]
    by_code = {
        s["properties"]["type"]["const"]: s for name, s in found.items() if name.endswith("Problem")
    }
    assert set(by_code) <= {f"/problems/{code}" for code in catalogue()}
    for code in ("course-full", "invalid", "too-many-requests", "overloaded", "scope-missing"):
        schema = by_code[f"/problems/{code}"]
        assert {"type", "title", "status", "detail", "instance", "request_id"} <= set(
            schema["required"]
        )
        assert schema["properties"]["status"]["const"] == catalogue()[code]["status"]
    full = by_code["/problems/course-full"]["properties"]["courses"]["items"]
    assert {"id", "waitlist_open", "seats_free", "asked"} <= set(full["properties"])
    assert {"capacity", "seats_taken"} <= set(
        by_code["/problems/capacity-below-enrolled"]["required"]
    )
    assert by_code["/problems/scope-missing"]["properties"]["scope"]["type"] == "string"
    assert (
        by_code["/problems/student-not-found"]["properties"]["missing"]["items"]["oneOf"][0][
            "format"
        ]
        == "int64"
    )
    assert by_code["/problems/invalid"]["properties"]["errors"]["items"]["required"] == ["detail"]


def test_a_refusal_of_several_codes_is_a_union_of_their_schemas(document):
    refused = document["paths"]["/students/{student_id}/enroll"]["post"]["responses"]["409"]
    union = resolve(document, refused)["content"]["application/problem+json"]["schema"]["oneOf"]
    assert union == [
        {"$ref": f"#/components/schemas/{name}"}
        for name in (
            "CourseFullProblem",
            "WaitlistFullProblem",
            "CourseClosedProblem",
            "CourseCancelledProblem",
            "RulesBrokenProblem",
        )
    ]


def test_responses_declare_required_fields_and_allow_additional_ones(document):
    found = answers(document)
    assert {"CourseOut", "StudentOut", "EnrollmentOut", "EventOut", "CourseFullProblem"} <= set(
        found
    )
    for name, schema in found.items():
        assert all(
            "additionalProperties" not in inner or inner["additionalProperties"]
            for inner in schemas(schema)
        ), name
        assert schema.get("required"), name
    optional = {
        n: set(s["properties"]) - set(s["required"])
        for n, s in found.items()
        if not n.endswith("Problem")
    }
    of_terms = {"term", "catalog_code", "component", "credits_min", "credits_max"}
    of_terms |= {"meetings", "open_to", "consent", "contact", "waitlist_blocked"}
    assert {name: fields for name, fields in optional.items() if fields} == {
        "CancelResult": {"warnings", "warnings_count"},
        "CatalogWritten": {"warnings"},
        "CourseOut": of_terms,
        "CourseResult": {"waitlisted", "warnings"},
        "CourseTaken": {*of_terms, "credits", "blocked"},
        "EnrollmentOut": {"credits", "blocked"},
        "EnrollmentWritten": {"credits", "blocked", "warnings"},
        "EventOut": {"rules"},
        "MoveResult": {"warnings", "warnings_count"},
        "ReinstateResult": {"warnings", "warnings_count"},
        "StudentEnrolled": {"credits", "blocked"},
        "StudentResult": {"waitlisted", "warnings"},
    }


def test_responses_have_the_required_fields(client, make, document):
    course, student = make.course(capacity=3), make.student()
    client.post(f"/students/{student['id']}/enroll", json={"course_ids": [course["id"]]})
    make.term(code="F")
    client.post("/catalog", json={"code": "CS 1", "title": "Logic", "credits_min": 3})
    for schema, path in {
        "CatalogOut": "/catalog",
        "CourseOut": f"/courses/{course['id']}",
        "StudentOut": f"/students/{student['id']}",
        "EnrollmentOut": f"/students/{student['id']}/courses/{course['id']}",
        "CourseTaken": f"/students/{student['id']}/courses",
        "StudentEnrolled": f"/courses/{course['id']}/students",
        "EventOut": f"/courses/{course['id']}/history",
        "TermOut": "/terms",
        "WindowsOut": "/terms/F/windows",
        "HealthOut": "/health",
    }.items():
        body = client.get(path).json
        item = body[0] if isinstance(body, list) else body
        assert set(item) == set(document["components"]["schemas"][schema]["required"]), schema


def test_every_integer_says_how_wide_it_is(document):
    for schema in schemas(document):
        if (
            "integer" in schema["type"]
            and "const" not in schema
            and schema.get("maximum", 2**63) > 2**31 - 1
        ):
            assert schema.get("format") == "int64" or schema.get("format") == "int32", schema
    properties = [s["properties"] for s in schemas(document) if "properties" in s]
    for name, schema in ((n, s) for fields in properties for n, s in fields.items()):
        if re.fullmatch("id|.*_id", name) and name != "request_id" and "integer" in schema["type"]:
            assert schema["format"] == "int64", name


def test_a_default_makes_no_field_of_a_body_mandatory(document):
    for name, required in {
        "CourseIdsRequest": [],  # one of two lists
        "CourseSetRequest": [],
        "OneCourseRequest": ["course_id"],
        "StudentIdsToEnrollRequest": [],
        "StudentIn": ["name"],
        "CourseIn": ["level", "name"],
    }.items():
        schema = document["components"]["schemas"][name]
        assert schema.get("required", []) == required
        assert not [field for field, inner in schema["properties"].items() if "default" in inner], (
            name
        )


def test_texts_and_cursors_say_their_length_and_pattern(document):
    fields = document["components"]["schemas"]["CourseIn"]["properties"]
    cursor = next(
        p for p in document["paths"]["/courses"]["get"]["parameters"] if p["name"] == "cursor"
    )["schema"]
    for schema in (*(fields[name] for name in ("name", "level", "external_id")), cursor):
        assert schema["minLength"] == 1
        assert re.compile(schema["pattern"])


@pytest.mark.parametrize(
    "name",
    [
        "Ada",
        " Ada ",
        "\tAda\n",
        "Ada\x00",
        "A\x1fda",
        "A\x85a",
        "\x85Ada",
        "A\nB",
        "",
        " ",
        "\t",
        "\x00",
        "Zoë",
        "李",
        "\x9f",
    ]
    + [
        "12",
        " 12 ",
        "12/a",
        "12a",
        "1.5",
        "a/12",
        ".",
        " .. ",
        "a/../b",
        "a/.",
        "./a",
        "a/.b",
        "...",
        "a//b",
        "/a",
        "٣",
    ],
)
def test_the_pattern_of_a_course_name_accepts_what_the_service_accepts(client, document, name):
    pattern = document["components"]["schemas"]["CourseIn"]["properties"]["name"]["pattern"]
    accepted = client.post("/courses", json={"name": name, "level": "x"}).status_code == 201
    assert bool(re.search(pattern, name)) == accepted


@pytest.mark.parametrize(
    "email", ["a@b", " a@b ", "a@b c", "@b", "a@", "a@b@c", "a b@c", "a\x00@b", "a@b\x00", "ö@ü"]
)
def test_the_pattern_of_an_email_accepts_what_the_service_accepts(client, document, email):
    pattern = document["components"]["schemas"]["StudentIn"]["properties"]["email"]["pattern"]
    accepted = client.post("/students", json={"name": "Ada", "email": email}).status_code == 201
    assert bool(re.search(pattern, email)) == accepted


def example(document: dict[str, Any], schema: dict[str, Any]) -> Any:
    """The example of each field that /docs shows for a schema."""
    schema = resolve(document, schema)
    return {name: inner["example"] for name, inner in schema["properties"].items()}


def test_every_field_has_an_example(document):
    for name, schema in document["components"]["schemas"].items():
        for field, inner in schema["properties"].items():
            assert {"example", "const"} & set(inner), (name, field)


def test_the_values_that_docs_fills_in_are_harmless(client, document):
    examples = {}
    for path, method, operation in operations(document):
        if "requestBody" in operation:
            content = operation["requestBody"]["content"]["application/json"]
            examples[method, path] = example(document, content["schema"])
        assert not [
            p["name"]
            for p in operation["parameters"]
            if p["in"] == "path" and "example" in str(p["schema"])
        ]
    made = client.post("/courses", json=examples["post", "/courses"])
    assert made.status_code == 201
    assert 0 < made.json["capacity"] <= 100
    for path in ("/students", "/terms", "/catalog"):
        assert client.post(path, json=examples["post", path]).status_code == 201
    for (method, path), body in examples.items():
        assert body.get("waitlist", False) is False, (method, path)
        names = re.findall("{([a-z_]+)}", path)
        unknown = dict.fromkeys(names, 2**62) | {"group": "nobody", "code": "none"}
        tried = client.open(path.format(**unknown), method=method, json=body)
        assert tried.status_code != 422, (method, path, tried.json)


def test_the_padlocks_match_the_scopes(app, client, guarded, document):
    assert "securitySchemes" not in document["components"]
    assert not [path for path, _, operation in operations(document) if operation.get("security")]
    closed = guarded.test_client().get("/openapi.json").json
    for path, method, operation in operations(closed):
        public = path.startswith("/health")
        assert bool(operation["security"]) != public, (method, path)
        assert {} not in operation["security"]
        assert ("401" in operation["responses"]) != public
        assert ("scope" in operation.get("description", "")) != public


def test_the_document_has_an_etag(client):
    answer = client.get("/openapi.json")
    tag = answer.headers["ETag"]
    again = client.get("/openapi.json", headers={"If-None-Match": tag})
    assert (again.status_code, again.headers["ETag"], again.data) == (304, tag, b"")
    assert client.get("/openapi.json", headers={"If-None-Match": '"another"'}).status_code == 200


def test_the_api_document_names_every_operation(document):
    text = (ROOT / "docs" / "api.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    for path, method, operation in operations(document):
        named = [row for row in rows if f"`{method.upper()} {path}`" in row.split("|")[1]]
        assert len(named) == 1, (method, path)
        assert f"`{operation['operationId']}`" in named[0].split("|")[2]


def test_the_docs_page_has_its_files(client):
    page = client.get("/api/v1/docs")
    files = re.findall('(?:href|src|data-url)="([^"]+)"', page.text)
    assert {"/api/v1/docs/narrow.css", "/api/v1/openapi.json"} <= set(files)
    for file in files:
        with client.get(file) as answer:
            assert answer.status_code == 200
            assert answer.mimetype != "text/plain"
    assert "style=" not in page.text  # the policy of the page forbids it


def test_the_document_names_the_codes_and_scopes_that_exist(document):
    text = str(document)
    assert [code for code in catalogue() if f"/problems/{code}'" not in text] == []
    scopes = {
        word
        for _, _, operation in operations(document)
        for word in re.findall("scope `([^`]+)`", operation.get("description", ""))
    }
    assert scopes <= set(SCOPES)


def test_the_examples_of_the_api_document_fit_the_schemas(document):
    text = (ROOT / "docs" / "api.md").read_text()
    examples = [
        json.loads(block) for block in re.findall("```json\n(.*?)```", text, flags=re.DOTALL)
    ]
    assert len(examples) >= 2
    for shown in examples:
        schema = openapi_problems.schema(
            code := shown["type"].removeprefix("/problems/"), catalogue()[code]
        )
        if shown.pop("…", None):  # an excerpt
            schema |= {"required": ["type", "status"]}
        Draft202012Validator(schema).validate(shown)
        assert set(shown) <= set(schema["properties"])
