"""Courses belong to a term and to a catalog entry, whose codes they have. An enrollment has credits.

Revision: 0015, after 0014.
"""

from contextlib import contextmanager

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
REFERENCES = {"term": "terms", "catalog_code": "catalog_entries"}
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
        for column, table in REFERENCES.items():
            courses.add_column(sa.Column(column, KEY))
            courses.create_foreign_key(op.f(f"fk_courses_{column}_{table}"), table, [column], ["code"], onupdate="CASCADE")
        courses.add_column(sa.Column("details", sa.JSON))
    for column in REFERENCES:
        op.create_index(f"ix_courses_{column}_id", "courses", [column, "id"])
    op.add_column("student_courses", sa.Column("credits", sa.Integer))


def downgrade() -> None:
    op.drop_column("student_courses", "credits")
    for column in REFERENCES:
        op.drop_index(f"ix_courses_{column}_id", "courses")
    with altered_courses() as courses:
        courses.drop_column("details")
        for column, table in REFERENCES.items():
            courses.drop_constraint(op.f(f"fk_courses_{column}_{table}"), type_="foreignkey")
            courses.drop_column(column)
