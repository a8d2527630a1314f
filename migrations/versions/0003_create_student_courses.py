"""Create the table of enrollments.

Revision: 0003, after 0002.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "student_courses",
        sa.Column("student_id", sa.BigInteger, nullable=False),
        sa.Column("course_id", sa.BigInteger, nullable=False),
        sa.Column("enrolled_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("student_id", "course_id", name="pk_student_courses"),
        sa.ForeignKeyConstraint(["student_id"], ["students.id"], name="fk_student_courses_student_id_students"),
        sa.ForeignKeyConstraint(["course_id"], ["courses.id"], name="fk_student_courses_course_id_courses"),
    )
    op.create_index("ix_student_courses_course_id_student_id", "student_courses", ["course_id", "student_id"])


def downgrade() -> None:
    op.drop_table("student_courses")
