"""The OpenAPI document and the running service agree: schemathesis, with all its checks, over the wire."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.server import Gunicorn


def test_the_document_describes_every_route(client):
    document = client.get("/openapi.json").json
    assert document["openapi"] == "3.1.0"
    assert document["servers"] == [{"url": "/api/v1"}]
    assert "/courses/{course}" in document["paths"]
    assert set(document["paths"]["/courses/{course}"]) == {"get", "put", "patch", "delete"}
    rules = {rule.rule.removeprefix("/api/v1") for rule in client.application.url_map.iter_rules()}
    undocumented = {"/", "/metrics", "/docs", "/docs/<name>", "/openapi.json", "/problems", "/problems/<code>"}
    assert len(document["paths"]) == len(rules - undocumented)
    course = document["components"]["schemas"]["CourseIn"]
    assert course["required"] == ["level", "name"]
    assert course["additionalProperties"] is False
    assert course["properties"]["name"]["maxLength"] == 200
    assert "required" not in document["components"]["schemas"]["CourseInChange"]
    refusals = document["paths"]["/courses"]["post"]["responses"]["409"]["description"]
    assert refusals == "`course-name-taken`, `external-id-taken`"


def test_schemathesis_finds_nothing(gunicorn: Gunicorn, app, tmp_path):
    app.test_cli_runner().invoke(args=["load-demo", "--students", "5", "--courses", "6", "--each", "2"])
    config = Path(__file__).parent / "schemathesis.toml"
    program = Path(sys.executable).parent / "schemathesis"
    done = subprocess.run(
        [program, "--config-file", config, "run", f"{gunicorn.url}/openapi.json"]
        + ["--url", f"{gunicorn.url}/api/v1", "--checks", "all"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
