"""Create the record of enrollments, and record those that stand.

Revision: 0006, after 0005.
"""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

BIG_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "enrollment_events",
        sa.Column("id", BIG_ID, sa.Identity(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("student_id", sa.BigInteger, nullable=False),
        sa.Column("course_id", sa.BigInteger, nullable=False),
        sa.Column("from_state", sa.Text),
        sa.Column("to_state", sa.Text),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_enrollment_events"),
        sqlite_autoincrement=True,
    )
    standing = sa.text(
        "INSERT INTO enrollment_events (at, student_id, course_id, from_state, to_state, why) "
        "SELECT coalesce(enrolled_at, :now), student_id, course_id, NULL, state, 'migrated' FROM student_courses "
        "ORDER BY coalesce(enrolled_at, :now), course_id, ticket, student_id"
    )
    now = sa.bindparam("now", datetime.now(UTC), sa.DateTime(timezone=True))
    op.get_bind().execute(standing.bindparams(now))
    op.create_index("ix_enrollment_events_student_id_id", "enrollment_events", ["student_id", "id"])
    op.create_index("ix_enrollment_events_course_id_id", "enrollment_events", ["course_id", "id"])


def downgrade() -> None:
    op.drop_table("enrollment_events")
