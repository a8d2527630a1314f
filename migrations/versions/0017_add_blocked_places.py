"""Rules block places on waitlists, and tick judges places again.

Revision: 0017, after 0016.
"""

from contextlib import contextmanager

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"

ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
LINE = "ck_courses_no_seat_beside_a_line"
FULL = "(capacity IS NOT NULL AND seats_taken = capacity) OR status = 'cancelled'"
COUNT = "ck_courses_blocked_within_line"
PLACE = "ck_student_courses_no_blocked_seat"
PROMOTABLE = sa.text("state = 'waitlisted' AND NOT blocked")
LINE_INDEX = "ix_student_courses_line"
WAITING = sa.text("state = 'waitlisted'")
IS_OPEN = "status = 'open' AND (capacity IS NULL OR seats_taken < capacity)"
OPEN_INDEXES = (
    ("is_open", "id"),
    ("is_open", "name_key", "id"),
    ("is_open", "created_at", "id"),
    ("is_open", "level", "id"),
    ("is_open", "level", "name_key", "id"),
    ("is_open", "level", "created_at", "id"),
)


@contextmanager
def altered_courses():
    """The table of courses to be altered. SQLite rebuilds it, which it cannot do with the computed column, and would forget which ids were given before."""
    bind = op.get_bind()
    if bind.dialect.name != "sqlite":
        with op.batch_alter_table("courses") as courses:
            yield courses
        return
    for columns in OPEN_INDEXES:
        op.drop_index(f"ix_courses_{'_'.join(columns)}", "courses")
    op.drop_column("courses", "is_open")
    seq = bind.execute(sa.text("SELECT seq FROM sqlite_sequence WHERE name = 'courses'")).scalar()
    with op.batch_alter_table("courses", table_kwargs={"sqlite_autoincrement": True}) as courses:
        yield courses
    if seq is not None:
        bind.execute(sa.text("DELETE FROM sqlite_sequence WHERE name = 'courses'"))
        bind.execute(sa.text("INSERT INTO sqlite_sequence (name, seq) VALUES ('courses', :seq)"), {"seq": seq})
    op.add_column("courses", sa.Column("is_open", sa.Boolean, sa.Computed(IS_OPEN, persisted=False), nullable=False))
    for columns in OPEN_INDEXES:
        op.create_index(f"ix_courses_{'_'.join(columns)}", "courses", columns)


def upgrade() -> None:
    with altered_courses() as courses:
        # Constant defaults: PostgreSQL rewrites no row, and an older release goes on writing.
        courses.add_column(sa.Column("blocked", sa.Integer, nullable=False, server_default="0"))
        courses.create_check_constraint(op.f(COUNT), "blocked BETWEEN 0 AND waitlisted")
        courses.drop_constraint(op.f(LINE), type_="check")
        courses.create_check_constraint(op.f(LINE), f"waitlisted - blocked = 0 OR {FULL}")
    with op.batch_alter_table("student_courses") as enrollments:
        enrollments.add_column(sa.Column("blocked", sa.Boolean, nullable=False, server_default=sa.false()))
        enrollments.create_check_constraint(op.f(PLACE), "state = 'waitlisted' OR NOT blocked")
    op.create_index(
        "ix_student_courses_promotable",
        "student_courses",
        ["course_id", "ticket"],
        sqlite_where=PROMOTABLE,
        postgresql_where=PROMOTABLE,
    )
    op.create_table(
        "waitlist_rechecks",
        sa.Column("id", ID, sa.Identity(), nullable=False),
        # No foreign key: an edit that queues a recheck never waits for a change of the student.
        sa.Column("student_id", sa.BigInteger, nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_waitlist_rechecks"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_waitlist_rechecks_due_at_id", "waitlist_rechecks", ["due_at", "id"])


def downgrade() -> None:
    op.drop_table("waitlist_rechecks")
    # Without the column, a place beside a free seat would violate the old constraint: it ends.
    free = "SELECT id FROM courses WHERE waitlisted > 0 AND status <> 'cancelled' AND (capacity IS NULL OR seats_taken < capacity)"
    op.execute(
        "INSERT INTO enrollment_events (at, student_id, course_id, from_state, to_state, why, ticket) "
        "SELECT CURRENT_TIMESTAMP, student_id, course_id, 'waitlisted', NULL, 'migrated', ticket FROM student_courses "
        f"WHERE state = 'waitlisted' AND course_id IN ({free})"
    )
    op.execute(f"DELETE FROM student_courses WHERE state = 'waitlisted' AND course_id IN ({free})")
    op.drop_index("ix_student_courses_promotable", "student_courses")
    with op.batch_alter_table("student_courses") as enrollments:
        enrollments.drop_constraint(op.f(PLACE), type_="check")
        enrollments.drop_column("blocked")
    op.execute(
        "UPDATE courses SET waitlisted = 0, blocked = 0 WHERE waitlisted > 0 AND status <> 'cancelled' "
        "AND (capacity IS NULL OR seats_taken < capacity)"
    )
    with altered_courses() as courses:
        courses.drop_constraint(op.f(LINE), type_="check")
        courses.create_check_constraint(op.f(LINE), f"waitlisted = 0 OR {FULL}")
        courses.drop_constraint(op.f(COUNT), type_="check")
        courses.drop_column("blocked")
