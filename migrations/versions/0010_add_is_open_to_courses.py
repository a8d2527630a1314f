"""Add to courses whether a seat is free, kept by the database, and an index for each order of these, of a level's, and of both.

Revision: 0010, after 0009.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

INDEXES = (
    ("level", "name_key", "id"),
    ("level", "created_at", "id"),
    ("is_open", "id"),
    ("is_open", "name_key", "id"),
    ("is_open", "created_at", "id"),
    ("is_open", "level", "id"),
    ("is_open", "level", "name_key", "id"),
    ("is_open", "level", "created_at", "id"),
)


def upgrade() -> None:
    # PostgreSQL indexes stored columns alone; SQLite adds virtual ones alone.
    kept = sa.Computed("capacity IS NULL OR seats_taken < capacity", persisted=op.get_bind().dialect.name == "postgresql")
    op.add_column("courses", sa.Column("is_open", sa.Boolean, kept, nullable=False))
    for columns in INDEXES:
        op.create_index(f"ix_courses_{'_'.join(columns)}", "courses", columns)


def downgrade() -> None:
    for columns in INDEXES:
        op.drop_index(f"ix_courses_{'_'.join(columns)}", "courses")
    op.drop_column("courses", "is_open")
