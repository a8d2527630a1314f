"""How a function becomes a command for operators."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import click
from flask.cli import with_appcontext
from sqlalchemy.exc import DBAPIError

from course_management.core.errors import Error
from course_management.db import integrity


def command(name: str) -> Callable[[Callable[..., None]], click.Command]:
    """A decorator that makes a function a command of the app.

    If the service or the database refuses, the command prints one line instead of a traceback.
    """

    def decorate(function: Callable[..., None]) -> click.Command:
        @wraps(function)
        def run(**options: Any) -> None:
            try:
                function(**options)
            except Error as error:
                raise click.ClickException(error.detail) from None
            except DBAPIError as error:
                raise click.ClickException(
                    f"The database refused: {integrity.reason(error)}"
                ) from None

        return click.command(name)(with_appcontext(run))

    return decorate
