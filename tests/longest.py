"""The files that take longest. A parallel run begins with them: whichever came last would keep one
processor busy while the others are idle.
"""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent

# The order matters little. A file that is missing here costs time, and nothing else.
LONGEST = (
    "drills/test_stuck.py",
    "drills/test_changes.py",
    "web/test_contract.py",
    "test_readme.py",
    "deploy/test_lifecycle.py",
    "server/test_hooks.py",
    "server/test_worker.py",
    "telemetry/test_metrics.py",
    "enrollments/test_model_based.py",
    "server/test_slow_clients.py",
    "deploy/test_nginx.py",
    "test_run.py",
    "deploy/test_door.py",
    "deploy/test_backup.py",
    "web/test_raw_path.py",
    "deploy/test_hosts.py",
    "test_migrations_as_sql.py",
    "test_migrations.py",
    "enrollments/test_views.py",
    "web/test_bad_input.py",
)


def position(path: Path) -> int:
    """The place of a test file in `LONGEST`, or the place behind all of them."""
    name = path.relative_to(HERE).as_posix()
    return LONGEST.index(name) if name in LONGEST else len(LONGEST)
