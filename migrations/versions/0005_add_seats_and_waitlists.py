"""Add seats and waitlists: capacities and counts of courses, the state and ticket of an enrollment.

Revision: 0005, after 0004.
"""

from contextlib import contextmanager

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

COURSES = {
    "ck_courses_capacity_not_negative": "capacity >= 0",
    "ck_courses_seats_counted_where_limited": "(capacity IS NULL) = (seats_taken IS NULL)",
    "ck_courses_seats_within_capacity": "seats_taken BETWEEN 0 AND capacity",
    "ck_courses_line_within_capacity": "waitlisted BETWEEN 0 AND coalesce(waitlist_capacity, waitlisted)",
    "ck_courses_no_seat_beside_a_line": "waitlisted = 0 OR (capacity IS NOT NULL AND seats_taken = capacity)",
}
ENROLLMENTS = {
    "ck_student_courses_state_known": "state IN ('enrolled', 'waitlisted')",
    "ck_student_courses_seat_since": "(state = 'enrolled') = (enrolled_at IS NOT NULL)",
    "ck_student_courses_line_by_ticket": "state = 'enrolled' OR ticket IS NOT NULL",
}
WAITING = sa.text("state = 'waitlisted'")


@contextmanager
def rebuilt_courses():
    """The table of courses to be altered. SQLite rebuilds it, and would forget which ids were given before."""
    bind = op.get_bind()
    on_sqlite = bind.dialect.name == "sqlite"
    seq = bind.execute(sa.text("SELECT seq FROM sqlite_sequence WHERE name = 'courses'")).scalar() if on_sqlite else None
    with op.batch_alter_table("courses", table_kwargs={"sqlite_autoincrement": True}) as courses:
        yield courses
    if seq is not None:
        bind.execute(sa.text("DELETE FROM sqlite_sequence WHERE name = 'courses'"))
        bind.execute(sa.text("INSERT INTO sqlite_sequence (name, seq) VALUES ('courses', :seq)"), {"seq": seq})


def upgrade() -> None:
    with rebuilt_courses() as courses:
        courses.add_column(sa.Column("capacity", sa.Integer))
        courses.add_column(sa.Column("seats_taken", sa.Integer))
        courses.add_column(sa.Column("waitlist_capacity", sa.Integer, server_default="0"))
        courses.add_column(sa.Column("waitlisted", sa.Integer, nullable=False, server_default="0"))
        courses.add_column(sa.Column("next_ticket", sa.BigInteger, nullable=False, server_default="1"))
        for name, rule in COURSES.items():
            courses.create_check_constraint(op.f(name), rule)
    with op.batch_alter_table("student_courses") as enrollments:
        enrollments.add_column(sa.Column("state", sa.Text, nullable=False, server_default="enrolled"))
        enrollments.add_column(sa.Column("ticket", sa.BigInteger))
        enrollments.alter_column("enrolled_at", existing_type=sa.DateTime(timezone=True), nullable=True)
        for name, rule in ENROLLMENTS.items():
            enrollments.create_check_constraint(op.f(name), rule)
    op.create_index(
        "ix_student_courses_line",
        "student_courses",
        ["course_id", "ticket"],
        unique=True,
        sqlite_where=WAITING,
        postgresql_where=WAITING,
    )


def downgrade() -> None:
    op.execute("DELETE FROM student_courses WHERE state <> 'enrolled'")
    op.drop_index("ix_student_courses_line", "student_courses")
    with op.batch_alter_table("student_courses") as enrollments:
        for name in ENROLLMENTS:
            enrollments.drop_constraint(op.f(name), type_="check")
        enrollments.alter_column("enrolled_at", existing_type=sa.DateTime(timezone=True), nullable=False)
        for name in ("state", "ticket"):
            enrollments.drop_column(name)
    with rebuilt_courses() as courses:
        for name in COURSES:
            courses.drop_constraint(op.f(name), type_="check")
        for name in ("capacity", "seats_taken", "waitlist_capacity", "waitlisted", "next_ticket"):
            courses.drop_column(name)
