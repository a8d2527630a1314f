"""The OpenAPI document and the running service agree: schemathesis, with all its checks, over
the wire.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from flask_migrate import upgrade

from devtools.gunicorn import Gunicorn


def test_the_document_describes_every_route(client):
    document = client.get("/openapi.json").json
    assert document["openapi"] == "3.1.0"
    assert document["servers"] == [{"url": "/api/v1"}]
    assert "/courses/{course}" in document["paths"]
    assert set(document["paths"]["/courses/{course}"]) == {"get", "put", "patch", "delete"}
    rules = {rule.rule.removeprefix("/api/v1") for rule in client.application.url_map.iter_rules()}
    undocumented = {
        "/",
        "/metrics",
        "/docs",
        "/docs/<name>",
        "/openapi.json",
        "/problems",
        "/problems/<code>",
    }
    assert len(document["paths"]) == len(rules - undocumented)
    course = document["components"]["schemas"]["CourseIn"]
    assert course["required"] == ["level", "name"]
    assert course["additionalProperties"] is False
    assert course["properties"]["name"]["maxLength"] == 200
    assert "required" not in document["components"]["schemas"]["CourseInChange"]
    refusals = document["paths"]["/courses"]["post"]["responses"]["409"]["$ref"].rpartition("/")[2]
    assert (
        document["components"]["responses"][refusals]["description"]
        == "`course-name-taken`, `external-id-taken`"
    )


def schemathesis(url: str, folder: Path, *args: str) -> None:
    config = Path(__file__).parent / "schemathesis.toml"
    program = Path(sys.executable).parent / "schemathesis"
    done = subprocess.run(
        [
            program,
            "--config-file",
            config,
            "run",
            f"{url}/openapi.json",
            "--url",
            f"{url}/api/v1",
            *args,
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(config.parent)},  # schemathesis_hooks.py
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


# How many requests are generated for each operation, and in which phases. `make test` sends only
# the examples of the document. `make test-all` takes minutes: it sends thousands of requests.
EXAMPLES = (
    pytest.param(1, "examples", id="1"),
    pytest.param(30, "examples,coverage,fuzzing,stateful", id="30", marks=pytest.mark.slow),
)


@pytest.mark.parametrize(("examples", "phases"), EXAMPLES)
def test_schemathesis_finds_nothing(gunicorn: Gunicorn, app, tmp_path, examples, phases):
    app.test_cli_runner().invoke(
        args=["load-demo", "--students", "5", "--courses", "6", "--each", "2"]
    )
    options = ("--checks", "all", "--phases", phases, "--max-examples", str(examples))
    schemathesis(gunicorn.url, tmp_path, *options)


def test_schemathesis_gets_nothing_without_its_key(new_database, make_app, tmp_path):
    """The check `ignored_auth` sends every operation without the key and with another key. It fails
    for an operation that accepts them.
    """
    url = new_database("sqlite")
    app = make_app(url)
    with app.app_context():
        upgrade()
    key = (
        app.test_cli_runner()
        .invoke(args=["api-keys", "create", "--name", "x", "--scope", "admin"])
        .stdout.strip()
    )
    with Gunicorn({"DATABASE_URL": url, "AUTH": "required"}, log=tmp_path / "log") as server:
        asked = [
            "--checks",
            "ignored_auth,status_code_conformance",
            "--phases",
            "fuzzing",
            "--max-examples",
            "1",
        ]
        schemathesis(server.url, tmp_path, "--header", f"Authorization: Bearer {key}", *asked)
