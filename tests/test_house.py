"""Rules of the project that a search of the code can check."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "course_management").rglob("*.py"))


def lines(pattern: str, but: str = "") -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in MODULES
        if path.relative_to(ROOT).as_posix() != f"course_management/{but}"
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(pattern, line)
    ]


def test_transactions_have_one_owner():
    found = lines(r"\.(commit|rollback|begin|begin_nested)\(", but="db/transaction.py")
    # They begin and commit for db/transaction.py, and for the migrations.
    assert [line for line in found if not re.search("db/(connections|commits).py", str(line))] == []


def test_sessions_have_one_owner():
    """LeanFlask never closes the session of Flask-SQLAlchemy."""
    assert lines(r"\bdb\.session\b(?!`)") == []


def test_the_environment_has_one_reader():
    found = lines(r"os\.environ|getenv|dotenv", but="config.py")
    # Not settings: systemd's LISTEN_FDS, and the folder that prometheus_client looks for.
    others = {"LISTEN_FDS", "METRICS_FOLDER"}
    assert [line for line in found if not any(name in line for name in others)] == []


def test_the_api_prefix_is_defined_once():
    assert lines("/api/v1", but="core/api.py") == []


def test_only_migrations_create_tables():
    assert lines("create_all") == []


def test_migrations_import_no_model():
    for path in (ROOT / "migrations" / "versions").glob("*.py"):
        assert "course_management" not in path.read_text()
        assert re.fullmatch(r"\d{4}_[a-z_]+\.py", path.name)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_files_have_at_most_300_lines(path):
    assert len(path.read_text().splitlines()) <= 300


def test_every_problem_code_is_in_the_api_document():
    from course_management.web.problems import catalogue

    text = (ROOT / "docs" / "api.md").read_text()
    assert [code for code in catalogue() if f"`{code}`" not in text] == []


def test_every_test_that_the_threat_model_names_exists():
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    named = re.findall(r"`((?:test_|tests/)[\w./]+)`", (ROOT / "SECURITY.md").read_text())
    assert len(named) > 20
    assert [name for name in named if not (f"def {name}(" in tests or (ROOT / name).exists())] == []


def test_every_route_is_in_the_api_document(migrated):
    text = (ROOT / "docs" / "api.md").read_text()
    paths = migrated.test_client().get("/openapi.json").json["paths"]
    wanted = [f"{method.upper()} {path}" for path, methods in paths.items() for method in methods]
    assert [route for route in wanted if f"`{route}`" not in text] == []
