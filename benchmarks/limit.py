"""The limit of PostgreSQL: pgbench sends the statements of a request, and nothing else."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

from benchmarks.inside import Service
from benchmarks.workloads import World
from devtools.postgres import Server

# The options with which the service opens its connections.
OPTIONS = "-c plan_cache_mode=force_generic_plan -c random_page_cost=1.1"
# For `enroll`, each client uses students of its own and enrolls each of them once in a course. Then
# it continues with the course before; it begins with the last course.
VALUES = {
    "list": "",
    "mine": r"\set student random(1, :students)",
    "enroll": "\\set n :n + 1\n\\set student :client_id * :share + :n % :share + 1\n\\set course "
    ":courses - :n / :share",
}


def script(name: str, service: Service, world: World) -> str:
    """A pgbench script with the statements that the service sends for one request.

    The student and the course of the request are variables of the script.
    """
    student, course = world.students - 6, world.courses - world.courses // 8 + 1
    asked: Any = {
        "list": lambda _: ("GET", "/courses?limit=20", None),
        "mine": lambda s: ("GET", f"/students/{s}/courses", None),
        "enroll": lambda s: ("POST", f"/students/{s}/courses", {"course_id": course}),
    }[name]
    # The first request of a kind on a connection sends more statements. The second one is recorded.
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
    """The text of a statement with its values inserted; of a prepared one, its full text."""
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
    """How often per second pgbench runs the script `text`. Raises RuntimeError if pgbench fails."""
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
