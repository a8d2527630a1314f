"""The commands for API keys: `flask --app wsgi api-keys create`, `list`, `revoke`, `rotate`."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import click

from course_management.auth import api_keys as keys
from course_management.core.principal import SCOPES
from course_management.core.text import TooManyMarks, clean, has_control
from course_management.db.transaction import transaction
from course_management.ops.command import command


class Lifetime(click.ParamType[timedelta]):
    """A number of minutes, hours or days: 30m, 12h, 90d."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        found = re.fullmatch("([1-9][0-9]{0,4})([mhd])", value)
        if not found:
            self.fail("must be a number and m, h or d: 30m, 12h, 90d.", param, ctx)
        return timedelta(**{{"m": "minutes", "h": "hours", "d": "days"}[found[2]]: int(found[1])})


def _show_token(token: str) -> None:
    """Print a token, alone on standard output."""
    click.echo("Save this key now. It is not stored and will not be shown again.", err=True)
    click.echo(token)


@command("create")
@click.option("--name", required=True, help="Its unique name, shown in the log and in histories.")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(SCOPES),
    multiple=True,
    required=True,
    help="A scope of the key; repeat the option for several.",
)
@click.option(
    "--expires",
    type=Lifetime(),
    help="Its lifetime: 30m, 12h, 90d. Default: it is valid until it is revoked.",
)
def create_key(name: str, scopes: tuple[str, ...], expires: timedelta | None) -> None:
    """Create a key and print it on standard output."""
    if not 0 < len(name.strip()) <= 100 or has_control(name):
        raise click.BadParameter(
            "must be 1 to 100 characters, none of them a control character.", param_hint="--name"
        )
    try:
        name = clean(name)
    except TooManyMarks as error:
        raise click.BadParameter(str(error), param_hint="--name") from None
    with transaction(writing=True) as session:
        token = keys.create_key(session, name, scopes, expires)
    _show_token(token)


@command("list")
def list_keys() -> None:
    """List the keys with their ids, names, scopes, dates and states, without secrets."""
    with transaction(writing=False) as session:
        rows = [
            (k.id, k.state, k.issued_at, k.expires_at, k.last_used_at, k.name, k.scopes)
            for k in keys.list_keys(session)
        ]
    click.echo(f"{'id':<13}{'state':<9}{'issued':<18}{'expires':<18}{'last used':<18}name: scopes")
    for key_id, state, *dates, name, scopes in rows:
        shown = "".join(f"{f'{date:%Y-%m-%d %H:%M}' if date else '-':<18}" for date in dates)
        click.echo(f"{key_id:<13}{state:<9}{shown}{name}: {scopes}")


@command("revoke")
@click.argument("key_id")
def revoke_key(key_id: str) -> None:
    """Revoke the key with this id; every worker refuses it within a second."""
    with transaction(writing=True) as session:
        keys.revoke_key(session, key_id)


@command("rotate")
@click.argument("key_id")
def rotate_key(key_id: str) -> None:
    """Replace the secret of the key with this id; the old one is refused within a second."""
    with transaction(writing=True) as session:
        token = keys.rotate_key(session, key_id)
    _show_token(token)


api_keys = click.Group(
    "api-keys",
    [create_key, list_keys, revoke_key, rotate_key],
    help="Manage API keys (docs/access.md).",
)
