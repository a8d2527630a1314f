"""Courses belong to a term and to a catalog entry, whose codes they have. An enrollment has credits.

Revision: 0015, after 0014.
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

REFERENCES = {"term": "terms", "catalog_code": "catalog_entries"}


def upgrade() -> None:
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    kind = "TEXT" if on_sqlite else 'TEXT COLLATE "C"'
    for column, table in REFERENCES.items():
        # As SQL, because Alembic would rebuild the table of SQLite, which cannot copy a computed column.
        op.execute(f"ALTER TABLE courses ADD COLUMN {column} {kind} CONSTRAINT fk_courses_{column}_{table} REFERENCES {table} (code) ON UPDATE CASCADE")
        op.create_index(f"ix_courses_{column}_id", "courses", [column, "id"])
    op.add_column("courses", sa.Column("details", sa.JSON))
    op.add_column("student_courses", sa.Column("credits", sa.Integer))


def downgrade() -> None:
    op.drop_column("student_courses", "credits")
    op.drop_column("courses", "details")
    for column in REFERENCES:
        op.drop_index(f"ix_courses_{column}_id", "courses")
        op.drop_column("courses", column)
