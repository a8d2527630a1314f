"""Fixtures of the tests of records."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from course_management.db.transaction import transaction
from course_management.history.models import EnrollmentEvent


@pytest.fixture
def events(app: Flask) -> Callable[..., list[dict[str, Any]]]:
    """Returns the events of some types, as the history has them, the oldest first."""

    def read(*beginnings: str) -> list[dict[str, Any]]:
        with app.app_context(), transaction(writing=False) as session:
            rows = session.execute(
                sa.select(EnrollmentEvent.__table__).order_by(EnrollmentEvent.id)
            ).mappings()
            return [dict(row) for row in rows if row["type"].startswith(beginnings)]

    return read


@pytest.fixture
def student(make: Any) -> int:
    """The id of a student."""
    return int(make.student(external_id="100")["id"])
