"""deploy/nginx.conf with its settings filled in: `python -m deploy.render >
/etc/nginx/conf.d/course-management.conf`.

The settings are those of deploy/nginx.env; the environment wins. Only names that the file has are
filled in, so that nginx's own variables stay. The official image does the same with envsubst.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values

HERE = Path(__file__).resolve().parent


def defaults() -> dict[str, str]:
    """The settings of deploy/nginx.env."""
    return {
        name: value or ""
        for name, value in dotenv_values(HERE / "nginx.env", interpolate=False).items()
    }


def render(settings: Mapping[str, str]) -> str:
    """The configuration for nginx. Raises KeyError for a name that `settings` lacks."""
    return re.sub(
        r"\$\{([A-Z_]+)\}", lambda found: settings[found[1]], (HERE / "nginx.conf").read_text()
    )


if __name__ == "__main__":
    print(render({name: os.environ.get(name, value) for name, value in defaults().items()}), end="")
