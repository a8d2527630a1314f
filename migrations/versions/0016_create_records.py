"""Create the groups, completions, holds and overrides of students.

Revision: 0016, after 0015.
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

BIG_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True)


def create_table_of_student(name: str, *items: sa.Column | sa.Constraint) -> None:
    """A table whose rows belong to a student, with an index for the list of a student."""
    op.create_table(
        name,
        sa.Column("id", BIG_ID, sa.Identity(), nullable=False),
        sa.Column("student_id", sa.BigInteger, nullable=False),
        *items,
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name=f"pk_{name}"),
        sa.ForeignKeyConstraint(["student_id"], ["students.id"], name=f"fk_{name}_student_id_students", ondelete="CASCADE"),
        sqlite_autoincrement=True,
    )
    op.create_index(f"ix_{name}_student_id_id", name, ["student_id", "id"])


def upgrade() -> None:
    # A constant default: PostgreSQL rewrites no row, and an older release goes on creating students.
    op.add_column("students", sa.Column("groups", sa.JSON, nullable=False, server_default=sa.text("'[]'")))
    op.create_table(
        "student_groups",
        sa.Column("student_id", sa.BigInteger, nullable=False),
        sa.Column("group_name", KEY, nullable=False),
        sa.PrimaryKeyConstraint("student_id", "group_name", name="pk_student_groups"),
        sa.ForeignKeyConstraint(["student_id"], ["students.id"], name="fk_student_groups_student_id_students", ondelete="CASCADE"),
    )
    op.create_index("ix_student_groups_group_name_student_id", "student_groups", ["group_name", "student_id"])
    create_table_of_student(
        "completions",
        sa.Column("catalog_code", sa.Text),
        sa.Column("catalog_key", KEY),
        sa.Column("test", sa.Text),
        sa.Column("test_key", KEY),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("grade", sa.Text),
        sa.Column("score", sa.Integer),
        sa.Column("credits", sa.Integer, nullable=False),
        sa.Column("term", sa.Text),
        sa.Column("external_id", KEY),
        sa.UniqueConstraint("external_id", name="uq_completions_external_id"),
        sa.CheckConstraint(
            "kind IN ('course', 'transfer', 'test', 'in-progress', 'withdrawn')", name=op.f("ck_completions_kind_known")
        ),
        sa.CheckConstraint("(catalog_key IS NULL) <> (test_key IS NULL)", name=op.f("ck_completions_one_subject")),
        sa.CheckConstraint("(kind = 'test') = (test_key IS NOT NULL)", name=op.f("ck_completions_kind_of_tests")),
        sa.CheckConstraint(
            "grade IS NULL OR kind IN ('course', 'transfer', 'withdrawn')", name=op.f("ck_completions_grade_of_courses")
        ),
        sa.CheckConstraint(
            "score IS NULL OR (kind = 'test' AND score BETWEEN 0 AND 9999999)", name=op.f("ck_completions_score_of_tests")
        ),
        sa.CheckConstraint("credits BETWEEN 0 AND 9999", name=op.f("ck_completions_credits_in_range")),
    )
    create_table_of_student(
        "holds",
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("contact", sa.Text),
        sa.Column("blocks", sa.JSON, nullable=False),
        sa.Column("until", MOMENT),
        sa.Column("created_by", sa.Text),
        sa.Column("released_at", MOMENT),
        sa.Column("released_by", sa.Text),
        sa.CheckConstraint("released_by IS NULL OR released_at IS NOT NULL", name=op.f("ck_holds_released_by_somebody")),
    )
    create_table_of_student(
        "overrides",
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("course_id", sa.BigInteger),
        sa.Column("catalog_code", sa.Text),
        sa.Column("term", sa.Text),
        sa.Column("value", sa.Integer),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("expires_at", MOMENT),
        sa.Column("granted_by", sa.Text),
        sa.Column("revoked_at", MOMENT),
        sa.Column("revoked_by", sa.Text),
        sa.ForeignKeyConstraint(["course_id"], ["courses.id"], name="fk_overrides_course_id_courses", ondelete="CASCADE"),
        sa.CheckConstraint(
            "(CASE WHEN course_id IS NULL THEN 0 ELSE 1 END) + (CASE WHEN catalog_code IS NULL "
            "THEN 0 ELSE 1 END) + (CASE WHEN term IS NULL THEN 0 ELSE 1 END) = 1",
            name=op.f("ck_overrides_one_target"),
        ),
        sa.CheckConstraint("value >= 0", name=op.f("ck_overrides_value_not_negative")),
        sa.CheckConstraint("revoked_by IS NULL OR revoked_at IS NOT NULL", name=op.f("ck_overrides_revoked_by_somebody")),
    )
    op.create_index("ix_overrides_course_id", "overrides", ["course_id"])


def downgrade() -> None:
    for table in ("overrides", "holds", "completions", "student_groups"):
        op.drop_table(table)
    op.drop_column("students", "groups")
