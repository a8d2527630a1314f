"""Create the table of courses.

Revision: 0002, after 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

BIG_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "courses",
        sa.Column("id", BIG_ID, sa.Identity(), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("name_key", KEY, nullable=False),
        sa.Column("level", KEY, nullable=False),
        sa.Column("external_id", KEY),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_courses"),
        sa.UniqueConstraint("name_key", name="uq_courses_name_key"),
        sa.UniqueConstraint("external_id", name="uq_courses_external_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_courses_level_id", "courses", ["level", "id"])
    op.create_index("ix_courses_created_at_id", "courses", ["created_at", "id"])


def downgrade() -> None:
    op.drop_table("courses")
