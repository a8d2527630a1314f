"""Print deploy/nginx.conf with its settings inserted.

Usage: `python -m deploy.render > /etc/nginx/conf.d/course-management.conf`. The settings come from
deploy/nginx.env; environment variables override them. Only names in capitals are replaced, so
nginx's own variables stay. The official image of nginx does the same with envsubst.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values

HERE = Path(__file__).resolve().parent


def defaults() -> dict[str, str]:
    """The settings of deploy/nginx.env, by name."""
    return {
        name: value or ""
        for name, value in dotenv_values(HERE / "nginx.env", interpolate=False).items()
    }


def render(settings: Mapping[str, str]) -> str:
    """The configuration for nginx. Raises KeyError if `settings` lacks a name that it needs."""
    return re.sub(
        r"\$\{([A-Z_]+)\}", lambda found: settings[found[1]], (HERE / "nginx.conf").read_text()
    )


if __name__ == "__main__":
    print(render({name: os.environ.get(name, value) for name, value in defaults().items()}), end="")
