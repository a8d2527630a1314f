"""The audit: checks every invariant of seats, waitlists, events and groups against the rows.

The results of the last runs are stored for /metrics.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from course_management.db.base import BigId, Model, UTCDateTime, now

MAX_EXAMPLES = 20  # violations shown per invariant
MAX_RUNS = 100  # results stored


class AuditRun(Model):
    """The result of one audit: the time of its end, the number of violations, its duration."""

    __tablename__ = "audit_runs"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(BigId, sa.Identity(), primary_key=True)
    at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)
    violations: Mapped[int] = mapped_column(sa.Integer)
    duration_ms: Mapped[int] = mapped_column(sa.Integer)


@dataclass(frozen=True, slots=True)
class Finding:
    """An invariant, the number of rows that violate it, and the first of these rows as texts."""

    name: str
    count: int
    examples: list[str]


# Students with later tickets may overtake a student who was out of the waitlist for a while (and is
# reinstated), and promotions pass over a place while rules block it.
_OVERTAKEN = (
    "EXISTS (SELECT 1 FROM enrollment_events v WHERE v.student_id = s.student_id AND v.course_id = "
    "s.course_id AND v.why IN ('reinstated', 'blocked'))"
)
_COURSES = (
    "SELECT c.id, c.status, c.capacity, c.seats_taken, c.waitlist_capacity, c.waitlisted, "
    "c.next_ticket, c.blocked, coalesce(e.blocked, 0) AS blocked_rows, "
    "coalesce(e.blocked_seats, 0) AS blocked_seats, "
    "coalesce(e.seats, 0) AS seats, coalesce(e.waiting, 0) AS waiting, e.promoted, e.first, e.last "
    "FROM courses c LEFT JOIN (SELECT course_id, sum(CASE WHEN state = 'enrolled' THEN 1 ELSE 0 "
    "END) AS seats, "
    "sum(CASE WHEN state = 'waitlisted' THEN 1 ELSE 0 END) AS waiting, "
    "sum(CASE WHEN blocked AND state = 'enrolled' THEN 1 ELSE 0 END) AS blocked_seats, "
    "sum(CASE WHEN blocked THEN 1 ELSE 0 END) AS blocked, "
    "max(CASE WHEN state = 'enrolled' THEN ticket END) AS promoted, "
    f"min(CASE WHEN state = 'waitlisted' AND NOT blocked AND NOT {_OVERTAKEN} THEN ticket END) "
    "AS first, "
    "max(ticket) AS last FROM student_courses s GROUP BY course_id) e ON e.course_id = c.id"
)
_EVENTS = (
    "SELECT student_id, course_id, from_state, to_state, "
    "lag(to_state) OVER (PARTITION BY student_id, course_id ORDER BY id) AS before, "
    "row_number() OVER (PARTITION BY student_id, course_id ORDER BY id DESC) AS age FROM "
    "enrollment_events WHERE type = 'enrollment.changed'"
)

# The names of groups contain no quotes, so each name of the JSON list has two.
_COPY = "CAST(s.groups AS text)"
_NUMBER = "coalesce(g.number, 0)"
_JOIN_GROUPS = (
    "LEFT JOIN (SELECT student_id, count(*) AS number FROM student_groups GROUP BY student_id) g "
    "ON g.student_id = s.id"
)

# The columns of the copies in `student_records` (migration 0018), and which rows they have.
_RECORDS = {
    "completions": ("kind, catalog_key, test_key, grade, score, credits, term", ""),
    "holds": ("id, code, detail, contact, blocks, until", " AND released_at IS NULL"),
    "overrides": (
        "id, rule, course_id, catalog_code, term, value, expires_at",
        " AND revoked_at IS NULL",
    ),
}
# The text of the rows of a student, as the triggers write it.
_ROWS = {
    "postgresql": "CAST(json_agg(json_build_array({columns}) ORDER BY id) AS text)",
    "sqlite": "nullif(json_group_array(json_array({columns})), '[]')",
}

# Each invariant and a query that returns the rows that violate it. The columns of such a row are
# shown as `name value`.
INVARIANTS = (
    (
        "seats taken = enrolled rows, in every course with a capacity",
        f"SELECT id AS course, seats_taken, seats AS enrolled FROM ({_COURSES}) k "
        "WHERE capacity IS NOT NULL AND seats_taken <> seats",
    ),
    (
        "seats taken <= capacity",
        f"SELECT id AS course, seats AS enrolled, capacity FROM ({_COURSES}) k WHERE seats > "
        "capacity",
    ),
    (
        "no free seat while students wait, except in blocked places",
        f"SELECT id AS course, seats AS enrolled, capacity, waiting FROM ({_COURSES}) k "
        "WHERE waiting - blocked_rows > 0 AND seats < coalesce(capacity, seats + 1) "
        "AND status <> 'cancelled'",
    ),
    (
        "blocked = blocked rows, none of which has a seat",
        "SELECT id AS course, blocked, blocked_rows, blocked_seats FROM "
        f"({_COURSES}) k WHERE blocked <> blocked_rows OR blocked_seats > 0",
    ),
    (
        "waitlisted = waitlisted rows <= waitlist_capacity",
        "SELECT id AS course, waitlisted, waiting AS waitlisted_rows, waitlist_capacity "
        f"FROM ({_COURSES}) k "
        "WHERE waitlisted <> waiting OR waiting > waitlist_capacity",
    ),
    (
        "tickets in order: promoted students before waiting ones, all tickets below next_ticket",
        f"SELECT id AS course, promoted, first, last, next_ticket FROM ({_COURSES}) k "
        "WHERE promoted >= first OR last >= next_ticket",
    ),
    (
        "no two students of a waitlist with the same ticket",
        "SELECT course_id AS course, ticket FROM student_courses WHERE state = 'waitlisted' "
        "GROUP BY course_id, ticket HAVING count(*) > 1",
    ),
    (
        "each event begins with the state in which the one before ended",
        f"SELECT student_id AS student, course_id AS course, before, from_state FROM ({_EVENTS}) f "
        "WHERE coalesce(before, '') <> coalesce(from_state, '')",
    ),
    (
        "the last event of each student and course = the enrollment",
        "SELECT student, course, max(state) AS state, max(told) AS told FROM ("
        "SELECT student_id AS student, course_id AS course, state, NULL AS told FROM "
        "student_courses UNION ALL "
        f"SELECT student_id, course_id, NULL, to_state FROM ({_EVENTS}) f WHERE age = 1 AND "
        "to_state IS NOT NULL) both_ "
        "GROUP BY student, course HAVING coalesce(max(state), '') <> coalesce(max(told), '')",
    ),
    (
        "no enrollment without its student and its course",
        "SELECT e.student_id AS student, e.course_id AS course FROM student_courses e "
        "WHERE NOT EXISTS (SELECT 1 FROM students s WHERE s.id = e.student_id) "
        "OR NOT EXISTS (SELECT 1 FROM courses c WHERE c.id = e.course_id)",
    ),
    (
        "the groups of each student = the rows of their groups",
        f"SELECT s.id AS student, {_COPY} AS groups, {_NUMBER} AS rows_ FROM students s "
        f"{_JOIN_GROUPS} WHERE length({_COPY}) - length(replace({_COPY}, '\"', '')) "
        f"<> 2 * {_NUMBER} OR EXISTS (SELECT 1 FROM student_groups r WHERE r.student_id = s.id "
        f"AND replace({_COPY}, '\"' || r.group_name || '\"', '') = {_COPY})",
    ),
)


def _copies(dialect: str) -> tuple[str, str]:
    """The invariant about `student_records`."""
    differ = []
    blocks = "json(blocks)" if dialect == "sqlite" else "blocks"
    for table, (columns, condition) in _RECORDS.items():
        rows = _ROWS[dialect].format(columns=columns.replace("blocks", blocks))
        told = f"SELECT {rows} FROM {table} WHERE student_id = s.id{condition}"
        differ.append(f"coalesce(({told}), '') <> coalesce(r.{table}, '')")
    joined = "students s LEFT JOIN student_records r ON r.student_id = s.id"
    return (
        "the copy of the records of each student = the rows",
        f"SELECT s.id AS student FROM {joined} WHERE {' OR '.join(differ)}",
    )


# The words of the name of a student, as the triggers of migration 0019 split it.
_WORDS = {
    "postgresql": "SELECT DISTINCT s.id, word, s.name_key FROM students s, "
    "regexp_split_to_table(s.name_key, '[ -]+') AS word WHERE word <> ''",
    "sqlite": "SELECT DISTINCT s.id, value, s.name_key FROM students s, json_each('[' || "
    "replace(replace(json_quote(s.name_key), '-', ' '), ' ', '\",\"') || ']') WHERE value <> ''",
}


def _words(dialect: str) -> tuple[str, str]:
    """The invariant about `student_words`."""
    kept, told = "SELECT student_id, word, name_key FROM student_words", _WORDS[dialect]
    first, second = (f"SELECT * FROM ({a} EXCEPT {b}) x" for a, b in ((kept, told), (told, kept)))
    return (
        "the words of each student = the words of their name",
        f"SELECT DISTINCT student_id AS student FROM ({first} UNION ALL {second}) d",
    )


def audit(session: Session) -> list[Finding]:
    """Check every invariant on the snapshot of `session` and return a finding for each. Writes
    nothing.
    """
    findings = []
    dialect = session.get_bind().dialect.name
    for name, query in (*INVARIANTS, _copies(dialect), _words(dialect)):
        rows = session.execute(sa.text(query)).all()
        examples = [
            ", ".join(f"{column} {value}" for column, value in row._mapping.items())
            for row in rows[:MAX_EXAMPLES]
        ]
        findings.append(Finding(name, len(rows), examples))
    return findings


def record(session: Session, findings: list[Finding], seconds: float) -> None:
    """Store the result of an audit that took `seconds`, and delete all results except the last
    MAX_RUNS.
    """
    run = AuditRun(
        violations=sum(finding.count for finding in findings), duration_ms=round(seconds * 1000)
    )
    session.add(run)
    session.flush()
    session.execute(sa.delete(AuditRun).where(AuditRun.id <= run.id - MAX_RUNS))
