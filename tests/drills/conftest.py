"""The topology that the drills share and break, and the table of their results."""

from __future__ import annotations

import pytest

from devtools.topology import Topology
from tests.drills import FULL

NO_LIMITS = dict.fromkeys(("ADDRESS_RATE", "ADDRESS_BURST", "KEY_RATE", "KEY_BURST"), "1000000")


@pytest.fixture(scope="session")
def up():
    """nginx, two workers of four threads, and PostgreSQL. Each drill repairs what it breaks."""
    with Topology(nginx=NO_LIMITS) as running:
        yield running


def pytest_terminal_summary(terminalreporter):
    """Print one line per failure: the name of the failure, the verdict, and the figures that tests
    give to `record_property`.
    """
    reports = [
        r for kind in ("passed", "failed", "error") for r in terminalreporter.stats.get(kind, ())
    ]
    drills = [
        r
        for r in reports
        if r.nodeid.startswith("tests/drills/") and (r.when == "call" or r.failed)
    ]
    if not FULL or not drills:
        return
    terminalreporter.section("drills")
    for report in sorted(drills, key=lambda r: r.nodeid):
        fault = report.nodeid.rpartition("::")[2].removeprefix("test_").replace("_", " ")
        figures = ", ".join(f"{name} {value}" for name, value in report.user_properties)
        verdict = {"green": True} if report.passed else {"red": True}
        terminalreporter.line(
            f"{fault} | {'held' if report.passed else 'BROKE'} | {figures}", **verdict
        )
