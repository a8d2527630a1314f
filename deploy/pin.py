"""Write the digest of each image beside its tag, in compose.yaml and the Dockerfile: `make pin`.
docker asks the registries.
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
    """The digest that the registry has for `image`, of all platforms. Ends the process where it
    has none.
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
        sys.exit(f"{image} has no digest to be had: {getattr(error, 'stderr', None) or error}")
    if not re.fullmatch("sha256:[0-9a-f]{64}", found):
        sys.exit(f"{image} has no digest to be had: docker says {found!r}")
    return found


def pinned(text: str, resolve: Callable[[str], str]) -> str:
    """`text` with each image of a tag as `name:tag@digest`, the digest being what `resolve` says
    now.
    """
    return IMAGE.sub(lambda found: f"{found[1]}{found[2]}@{resolve(found[2])}", text)


def main(resolve: Callable[[str], str] = digest) -> None:
    """Rewrite both files, or neither."""
    texts = {
        path: pinned(path.read_text(), resolve)
        for path in (ROOT / "compose.yaml", ROOT / "Dockerfile")
    }
    for path, text in texts.items():
        path.write_text(text)


if __name__ == "__main__":
    main()
