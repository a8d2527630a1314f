"""Write the digest of each image after its tag in compose.yaml and the Dockerfile: `make pin`.

Needs docker, which asks the registries.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IMAGE = re.compile(
    r"^((?:FROM|\s+image:) +)([\w./-]+:[\w.-]+)(?:@sha256:[0-9a-f]{64})?", flags=re.MULTILINE
)


def digest(image: str) -> str:
    """The digest of `image` for all platforms, as its registry reports it.

    Raises SystemExit if docker fails or reports no digest.
    """
    command = [
        "docker",
        "buildx",
        "imagetools",
        "inspect",
        "--format",
        "{{.Manifest.Digest}}",
        image,
    ]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"Cannot read the digest of {image}: {getattr(error, 'stderr', None) or error}")
    if not re.fullmatch("sha256:[0-9a-f]{64}", found):
        sys.exit(f"Cannot read the digest of {image}: docker says {found!r}")
    return found


def pinned(text: str, resolve: Callable[[str], str]) -> str:
    """`text` with each image written as `name:tag@digest`.

    `resolve` returns the current digest of an image such as `nginx:1.30.4`.
    """
    return IMAGE.sub(lambda found: f"{found[1]}{found[2]}@{resolve(found[2])}", text)


def main(resolve: Callable[[str], str] = digest) -> None:
    """Rewrite both files, or neither if a digest cannot be read."""
    texts = {
        path: pinned(path.read_text(), resolve)
        for path in (ROOT / "compose.yaml", ROOT / "Dockerfile")
    }
    for path, text in texts.items():
        path.write_text(text)


if __name__ == "__main__":
    main()
