"""Clients that generators make of the OpenAPI document: strict type checkers accept them, and
they drive the service.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask

from devtools.gunicorn import Gunicorn

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent

pytestmark = pytest.mark.clients


def run(*command: str | Path, cwd: Path) -> None:
    """Run a program, which must succeed."""
    env = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "PYTHONPATH": str(cwd)}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-8000:]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, make_app: Callable[..., Flask]) -> Path:
    """A folder with the OpenAPI document."""
    made = tmp_path_factory.mktemp("clients")
    client = make_app(f"sqlite:///{made / 'unused.db'}").test_client()
    (made / "openapi.json").write_bytes(client.get("/openapi.json").data)
    return made


@pytest.fixture(scope="module")
def typescript(folder: Path) -> Path:
    """The compiled TypeScript driver with its generated client."""
    for name in ("package.json", "package-lock.json", "tsconfig.json", "drive.ts"):
        shutil.copy(HERE / name, folder)
    run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=folder)
    programs = folder / "node_modules" / ".bin"
    run(programs / "openapi-typescript", "openapi.json", "--output", "api.d.ts", cwd=folder)
    run(programs / "tsc", cwd=folder)
    return folder / "built" / "drive.js"


@pytest.fixture(scope="module")
def python(folder: Path) -> Path:
    """The Python driver beside its generated client."""
    shutil.copy(HERE / "drive.py", folder)
    generate = (
        "generate",
        "--path",
        "openapi.json",
        "--meta",
        "none",
        "--output-path",
        "course_client",
        "--fail-on-warning",
    )
    run(BIN / "openapi-python-client", *generate, cwd=folder)
    run(BIN / "mypy", "--config-file", HERE / "mypy.ini", "drive.py", "course_client", cwd=folder)
    return folder / "drive.py"


def test_the_typescript_client_is_strict_and_works(
    gunicorn: Gunicorn, app: Flask, typescript: Path
):
    run("node", typescript, f"{gunicorn.url}/api/v1", uuid.uuid4().hex, cwd=typescript.parent)


def test_the_python_client_is_strict_and_works(gunicorn: Gunicorn, app: Flask, python: Path):
    run(sys.executable, python, f"{gunicorn.url}/api/v1", uuid.uuid4().hex, cwd=python.parent)
