"""Documents agree with the code: links, settings, files, tables, commands of make, version."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from course_management.config import Config
from course_management.core.version import __version__

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md")
    for path in ROOT.glob(pattern)
    if ".venv" not in path.parts
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
SETTING = re.compile(r"^\| `([A-Z_]+)` \| (.+?) \| (.+?) \| .+ \|$", flags=re.MULTILINE)
PROVIDER = {"OIDC_ISSUER": "https://id.example.edu", "OIDC_AUDIENCE": "courses"}


def outside_code(document: Path) -> str:
    return re.sub("```.*?```", "", document.read_text(), flags=re.DOTALL)


def anchors(document: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a document."""
    headings = re.findall("^#+ (.*)$", outside_code(document), flags=re.MULTILINE)
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in kept}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_has_a_target(document):
    broken = []
    for link in LINK.findall(outside_code(document)):
        if link.startswith(("https://", "http://")):
            continue
        name, _, anchor = link.partition("#")
        target = (document.parent / name).resolve() if name else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_settings_are_those_of_the_example():
    listed = [name for name, *_ in SETTING.findall((ROOT / "docs" / "settings.md").read_text())]
    example = re.findall("^([A-Z_]+)=$", (ROOT / ".env.example").read_text(), flags=re.MULTILINE)
    assert sorted(listed) == sorted(example)


def test_documented_defaults_are_the_defaults():
    """Setting a documented default explicitly changes nothing."""
    rows = SETTING.findall((ROOT / "docs" / "settings.md").read_text())
    defaults = {name: text.strip("`") for name, _, text in rows if re.fullmatch("`[^`]+`", text)}
    assert len(defaults) >= 8
    for name, value in defaults.items():
        assert Config.from_env(PROVIDER | {name: value}) == Config.from_env(PROVIDER), name


def test_the_architecture_names_files_that_exist():
    text = (ROOT / "docs" / "architecture.md").read_text()
    named = re.findall(r"[`/\s]((?:[\w-]+/)*\w+\.(?:py|toml|yml))\b", text)
    assert len(named) > 50
    package = ROOT / "course_management"
    places = (ROOT, package, package / "courses", package / "enrollments")
    assert [name for name in named if not any((place / name).exists() for place in places)] == []


def test_the_architecture_draws_every_table_with_its_columns():
    from course_management.db.base import Base

    text = (ROOT / "docs" / "architecture.md").read_text()
    (drawing,) = re.findall("```mermaid\nerDiagram\n(.*?)```", text, flags=re.DOTALL)
    drawn = {
        table: re.findall(r"^\s+\w+ (\w+)", columns, flags=re.MULTILINE)
        for table, columns in re.findall(r"^\s*(\w+) \{\n(.*?)\}", drawing, flags=re.M | re.S)
    }
    declared = {table.name: list(table.columns.keys()) for table in Base.metadata.sorted_tables}
    assert {name: sorted(columns) for name, columns in drawn.items()} == {
        name: sorted(columns) for name, columns in declared.items()
    }


def test_make_lists_every_command():
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall("^([a-z][a-z-]*):", makefile, flags=re.MULTILINE)
    done = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True)
    shown = dict(re.findall("^make ([a-z-]+) +(.+)$", done.stdout, flags=re.MULTILINE))
    assert list(shown) == targets
    helped = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert helped.stdout == done.stdout


def test_no_recipe_is_longer_than_three_lines():
    recipes = re.findall(r"^(\S+):.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert [name for name, lines in recipes if lines.count("\n") > 3] == []


def test_the_version_is_the_same_everywhere(migrated):
    client = migrated.test_client()
    for path in ("/health", "/health/ready", "/health/live"):
        assert client.get(path).json["version"] == __version__
    assert client.get("/openapi.json").json["info"]["version"] == __version__
    told = subprocess.run(
        [sys.executable, "-m", "course_management", "--version"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == f"Course Management, version {__version__}"
    changes = (ROOT / "CHANGELOG.md").read_text()
    assert re.findall(r"^## \[(\d[^\]]*)\]", changes, flags=re.MULTILINE)[0] == __version__
