"""The stock configuration: with `STOCK=1` in the environment, tests run on plain gunicorn, Flask,
SQLAlchemy and psycopg2 instead of the fast parts.
"""

from __future__ import annotations

import os
from typing import Any

from course_management.config import Config

STOCK_SETTINGS = {
    "WORKER": "gthread",
    "BATCHING": "off",
    "PREPARE": "off",
    "FLASK": "stock",
    "OFFERINGS_CACHE": "off",
}


def is_stock() -> bool:
    """Whether this run is on the stock configuration."""
    return os.environ.get("STOCK") == "1"


def selected_settings() -> dict[str, str]:
    """The settings of this run that differ from the defaults, as environment variables."""
    return STOCK_SETTINGS if is_stock() else {}


def selected_fields() -> dict[str, Any]:
    """The same settings as fields of Config."""
    config = Config.from_env(selected_settings())
    return {name.lower(): getattr(config, name.lower()) for name in selected_settings()}
