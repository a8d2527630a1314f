"""promtool, which judges metrics and alert rules; of the Debian package prometheus. Tests that
call it are marked `debian`.
"""

from __future__ import annotations

import subprocess


def promtool(*args: str, given: str | None = None) -> str:
    """The output of promtool. Fails if promtool reports a fault."""
    done = subprocess.run(
        ["promtool", *args], input=given, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
