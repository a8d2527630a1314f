"""Add to courses whether students may enroll: a status. Only an open course counts as one with a free seat.

Revision: 0012, after 0011.
"""

from contextlib import contextmanager

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
STATUSES = "status IN ('open', 'closed', 'cancelled')"
LINE = "ck_courses_no_seat_beside_a_line"
NO_SEAT = "waitlisted = 0 OR (capacity IS NOT NULL AND seats_taken = capacity)"
HAS_SEAT = "capacity IS NULL OR seats_taken < capacity"
OPEN_INDEXES = (
    ("is_open", "id"),
    ("is_open", "name_key", "id"),
    ("is_open", "created_at", "id"),
    ("is_open", "level", "id"),
    ("is_open", "level", "name_key", "id"),
    ("is_open", "level", "created_at", "id"),
)
STATUS_INDEXES = (("status", "id"), ("status", "name_key", "id"), ("status", "created_at", "id"), ("status", "level", "id"))


@contextmanager
def altered_courses(is_open: str):
    """The table of courses to be altered; `is_open` is then computed by this condition. SQLite rebuilds it, and would forget which ids were given before."""
    bind = op.get_bind()
    on_sqlite = bind.dialect.name == "sqlite"
    for columns in OPEN_INDEXES:
        op.drop_index(f"ix_courses_{'_'.join(columns)}", "courses")
    op.drop_column("courses", "is_open")
    seq = bind.execute(sa.text("SELECT seq FROM sqlite_sequence WHERE name = 'courses'")).scalar() if on_sqlite else None
    with op.batch_alter_table("courses", table_kwargs={"sqlite_autoincrement": True}) as courses:
        yield courses
    if seq is not None:
        bind.execute(sa.text("DELETE FROM sqlite_sequence WHERE name = 'courses'"))
        bind.execute(sa.text("INSERT INTO sqlite_sequence (name, seq) VALUES ('courses', :seq)"), {"seq": seq})
    kept = sa.Computed(is_open, persisted=not on_sqlite)
    op.add_column("courses", sa.Column("is_open", sa.Boolean, kept, nullable=False))
    for columns in OPEN_INDEXES:
        op.create_index(f"ix_courses_{'_'.join(columns)}", "courses", columns)


def upgrade() -> None:
    with altered_courses(f"status = 'open' AND ({HAS_SEAT})") as courses:
        # A constant default: an older release goes on creating courses, which are open.
        courses.add_column(sa.Column("status", KEY, nullable=False, server_default="open"))
        courses.create_check_constraint(op.f("ck_courses_status_known"), STATUSES)
        courses.drop_constraint(op.f(LINE), type_="check")
        courses.create_check_constraint(op.f(LINE), f"{NO_SEAT} OR status = 'cancelled'")
    for columns in STATUS_INDEXES:
        op.create_index(f"ix_courses_{'_'.join(columns)}", "courses", columns)


def downgrade() -> None:
    for columns in STATUS_INDEXES:
        op.drop_index(f"ix_courses_{'_'.join(columns)}", "courses")
    with altered_courses(HAS_SEAT) as courses:
        courses.drop_constraint(op.f(LINE), type_="check")
        courses.create_check_constraint(op.f(LINE), NO_SEAT)
        courses.drop_constraint(op.f("ck_courses_status_known"), type_="check")
        courses.drop_column("status")
