"""Let events tell of students and courses too, and of the reason, the ticket and further data of a change.

Revision: 0011, after 0010.
"""

from contextlib import contextmanager

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

WITH_REASON = sa.text("reason IS NOT NULL")


@contextmanager
def altered_events():
    """The table of events to be altered. SQLite rebuilds it, and would forget which ids were given before."""
    bind = op.get_bind()
    on_sqlite = bind.dialect.name == "sqlite"
    seq = bind.execute(sa.text("SELECT seq FROM sqlite_sequence WHERE name = 'enrollment_events'")).scalar() if on_sqlite else None
    with op.batch_alter_table("enrollment_events", table_kwargs={"sqlite_autoincrement": True}) as events:
        yield events
    if seq is not None:
        bind.execute(sa.text("DELETE FROM sqlite_sequence WHERE name = 'enrollment_events'"))
        bind.execute(sa.text("INSERT INTO sqlite_sequence (name, seq) VALUES ('enrollment_events', :seq)"), {"seq": seq})


def upgrade() -> None:
    with altered_events() as events:
        # A constant default: PostgreSQL rewrites no row, and an older release goes on writing.
        events.add_column(sa.Column("type", sa.Text, nullable=False, server_default="enrollment.changed"))
        events.add_column(sa.Column("reason", sa.Text))
        events.add_column(sa.Column("ticket", sa.BigInteger))
        events.add_column(sa.Column("data", sa.JSON))
        for name in ("student_id", "course_id"):
            events.alter_column(name, existing_type=sa.BigInteger, nullable=True)
    op.create_index(
        "ix_enrollment_events_reasons",
        "enrollment_events",
        ["student_id"],
        sqlite_where=WITH_REASON,
        postgresql_where=WITH_REASON,
    )


def downgrade() -> None:
    op.drop_index("ix_enrollment_events_reasons", "enrollment_events")
    op.execute("DELETE FROM enrollment_events WHERE type <> 'enrollment.changed'")
    with altered_events() as events:
        for name in ("student_id", "course_id"):
            events.alter_column(name, existing_type=sa.BigInteger, nullable=False)
        for name in ("data", "ticket", "reason", "type"):
            events.drop_column(name)
