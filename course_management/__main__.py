"""`python -m course_management`: the commands of `flask --app wsgi`, and `--version`."""

from __future__ import annotations

import click
from flask.cli import FlaskGroup

from course_management import create_app
from course_management.core.version import __version__

cli = click.version_option(__version__, prog_name="Course Management")(
    FlaskGroup(
        create_app=create_app,
        add_version_option=False,
        help="Commands of Course Management for operators and developers.",
    )
)

if __name__ == "__main__":
    cli()
