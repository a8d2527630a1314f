"""Create the table of students.

Revision: 0001, the first.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "students",
        sa.Column("id", BIG_ID, sa.Identity(), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("name_key", KEY, nullable=False),
        sa.Column("email", sa.Text),
        sa.Column("email_key", KEY),
        sa.Column("external_id", KEY),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_students"),
        sa.UniqueConstraint("email_key", name="uq_students_email_key"),
        sa.UniqueConstraint("external_id", name="uq_students_external_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_students_name_key_id", "students", ["name_key", "id"])
    op.create_index("ix_students_created_at_id", "students", ["created_at", "id"])


def downgrade() -> None:
    op.drop_table("students")
