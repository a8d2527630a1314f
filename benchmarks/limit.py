"""The limit: the statements of a request, sent by pgbench, which does nothing else."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

from benchmarks.inside import Service
from benchmarks.workloads import World
from devtools.postgres import Server

# As the service sets its connections up.
OPTIONS = "-c plan_cache_mode=force_generic_plan -c random_page_cost=1.1"
# Every client has students of its own, so that none is enrolled twice; courses from the last one
# down.
VALUES = {
    "list": "",
    "mine": r"\set student random(1, :students)",
    "enroll": "\\set n :n + 1\n\\set student :client_id * :share + :n % :share + 1\n\\set course "
    ":courses - :n / :share",
}


def script(name: str, service: Service, world: World) -> str:
    """A pgbench script of what the service sends for one request; its student and its course are
    variables.
    """
    student, course = world.students - 6, world.courses - world.courses // 8 + 1
    asked: Any = {
        "list": lambda _: ("GET", "/courses?limit=20", None),
        "mine": lambda s: ("GET", f"/students/{s}/courses", None),
        "enroll": lambda s: ("POST", f"/students/{s}/courses", {"course_id": course}),
    }[name]
    # what is asked of a connection for the first time costs more
    for one in (student - 1, student):
        service.sent.clear()
        answer = service.ask(*asked(one))
        assert answer.status < 300, answer
    with service.cursor() as cursor:
        lines = [_plain(cursor, *sent) for sent in list(service.sent)]
    text = "\n".join(f"{line};" for line in lines)
    text = re.sub(
        rf"\b{course}\b", ":course::bigint", re.sub(rf"\b{student}\b", ":student::bigint", text)
    )
    return "\n".join(
        [VALUES[name], "BEGIN;", text, "COMMIT;"] if name == "enroll" else [VALUES[name], text]
    )


def _plain(cursor: Any, text: str, values: Any) -> str:
    """A statement with its values in it; of a prepared one, what was prepared."""
    if not text.startswith("EXECUTE"):
        return _one_line(cursor.mogrify(text, values).decode())
    cursor.execute(
        "SELECT statement FROM pg_prepared_statements WHERE name = %s", (re.split("[ (]", text)[1],)
    )
    prepared = cursor.fetchone()[0].partition(" AS ")[2]
    return _one_line(
        re.sub(
            r"\$(\d+)",
            lambda match: cursor.mogrify("%s", (values[int(match[1]) - 1],)).decode(),
            prepared,
        )
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())


def transactions(
    server: Server, text: str, world: World, connections: int, seconds: float
) -> float:
    """How many a second pgbench does of `text`. Raises RuntimeError where it cannot."""
    path = Path(server.home, "script.sql")
    path.write_text(text)
    variables = {
        "n": 0,
        "students": world.students,
        "courses": world.courses,
        "share": world.students // connections,
    }
    program = [
        str(server.bin / "pgbench"),
        "-n",
        "-M",
        "prepared",
        "-f",
        str(path),
        "-c",
        str(connections),
        "-j",
        "2",
    ]
    program += [
        "-T",
        str(max(1, round(seconds))),
        *(f"-D{name}={value}" for name, value in variables.items()),
    ]
    program += ["-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres", "postgres"]
    done = subprocess.run(
        program,
        env={**os.environ, "PGOPTIONS": OPTIONS},
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"tps = ([\d.]+)", done.stdout)
    if done.returncode or not found:
        raise RuntimeError(f"pgbench failed.\n{done.stdout}\n{done.stderr}\n{text}")
    return float(found[1])
