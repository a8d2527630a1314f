"""Time zones by their IANA names, from the pinned package tzdata: every host has the same zones."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo


class NoSingleMoment(ValueError):
    """A local time does not exist in its zone, or exists twice. The message says how to fix it."""


@cache
def zone_names() -> frozenset[str]:
    """The names of all time zones, such as `Europe/Berlin`."""
    return frozenset((files("tzdata") / "zones").read_text("ascii").split())


@cache
def zone(name: str) -> ZoneInfo:
    """The time zone with this name, which is one of `zone_names`."""
    if name not in zone_names():
        raise ValueError(f"no time zone is called {name!r}")
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def as_moment(given: datetime, zone_name: str) -> datetime:
    """`given` in UTC. If it has no zone, it is the local time of the zone with this name.

    Raises NoSingleMoment for a local time that does not exist, because the clocks go forward then,
    or exists twice, because they go back (PEP 495).
    """
    if given.tzinfo is not None:
        return given.astimezone(UTC)
    local = given.replace(tzinfo=zone(zone_name))
    first, second = (local.replace(fold=fold).isoformat() for fold in (0, 1))
    if first == second:
        return local.astimezone(UTC)
    if local.astimezone(UTC).astimezone(local.tzinfo).replace(tzinfo=None) != given:
        raise NoSingleMoment(
            f"{given.isoformat()} does not exist in {zone_name}, because the clocks go forward "
            f"then. Send the time with an offset, such as {first}."
        )
    raise NoSingleMoment(
        f"{given.isoformat()} exists twice in {zone_name}, because the clocks go back then. Send "
        f"the time with an offset: {first} or {second}."
    )
