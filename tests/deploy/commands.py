"""Runs the commands of docs/operations.md exactly as the document shows them."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from devtools.topology import BIN, ROOT


def commands(heading: str) -> list[str]:
    """The sh blocks under a heading."""
    text = (ROOT / "docs" / "operations.md").read_text()
    section = re.split(r"^## ", text.split(f"\n## {heading}\n")[1], maxsplit=1, flags=re.M)[0]
    return re.findall(r"```sh\n(.*?)```", section, flags=re.S)


def run(block: str, folder: Path, **env: str) -> str:
    """The output of a block, run in `folder`, where `.venv/bin` and `wsgi` are those of this
    project.
    """
    block = block.replace(".venv/bin/", f"{BIN}/").replace("--app wsgi", f"--app {ROOT}/wsgi")
    program = ["bash", "-euo", "pipefail", "-c", block]
    done = subprocess.run(
        program, cwd=folder, env=os.environ | env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (block, done.stdout, done.stderr)
    return done.stdout
