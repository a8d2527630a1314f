"""Create terms, and the windows in which students may register for them.

Revision: 0013, after 0012.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

BIG_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
KEY_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True)
INDEXES = (("starts_on", "id"), ("parent_id", "id"))


def upgrade() -> None:
    op.create_table(
        "terms",
        sa.Column("id", BIG_ID, sa.Identity(), nullable=False),
        sa.Column("code", KEY_TEXT, nullable=False),
        sa.Column("code_key", KEY_TEXT, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("parent_id", sa.BigInteger),
        sa.Column("starts_on", sa.Date, nullable=False),
        sa.Column("ends_on", sa.Date, nullable=False),
        sa.Column("time_zone", sa.Text),
        sa.Column("add_until", MOMENT),
        sa.Column("drop_until", MOMENT),
        sa.Column("withdraw_until", MOMENT),
        sa.Column("min_credits", sa.Integer),
        sa.Column("max_credits", sa.Integer),
        sa.Column("max_courses", sa.Integer),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_terms"),
        sa.UniqueConstraint("code", name="uq_terms_code"),
        sa.UniqueConstraint("code_key", name="uq_terms_code_key"),
        sa.ForeignKeyConstraint(["parent_id"], ["terms.id"], name="fk_terms_parent_id_terms"),
        sa.CheckConstraint("parent_id <> id", name=op.f("ck_terms_not_its_own_parent")),
        sa.CheckConstraint("ends_on >= starts_on", name=op.f("ck_terms_dates_in_order")),
        sa.CheckConstraint(
            "add_until <= drop_until AND drop_until <= withdraw_until AND add_until <= withdraw_until",
            name=op.f("ck_terms_deadlines_in_order"),
        ),
        sa.CheckConstraint("(parent_id IS NULL) = (time_zone IS NOT NULL)", name=op.f("ck_terms_zone_of_wholes")),
        sa.CheckConstraint(
            "parent_id IS NULL OR (min_credits IS NULL AND max_credits IS NULL AND max_courses IS NULL)",
            name=op.f("ck_terms_limits_of_wholes"),
        ),
        sa.CheckConstraint(
            "min_credits BETWEEN 0 AND 9999 AND max_credits BETWEEN 0 AND 9999 "
            "AND min_credits <= max_credits AND max_courses >= 0",
            name=op.f("ck_terms_limits_in_order"),
        ),
        sqlite_autoincrement=True,
    )
    for columns in INDEXES:
        op.create_index(f"ix_terms_{'_'.join(columns)}", "terms", columns)
    op.create_table(
        "term_windows",
        sa.Column("term_id", sa.BigInteger, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("group_name", KEY_TEXT),
        sa.Column("opens_at", MOMENT, nullable=False),
        sa.Column("closes_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("term_id", "number", name="pk_term_windows"),
        sa.ForeignKeyConstraint(["term_id"], ["terms.id"], name="fk_term_windows_term_id_terms"),
        sa.CheckConstraint("opens_at < closes_at", name=op.f("ck_term_windows_opens_before_it_closes")),
    )


def downgrade() -> None:
    op.drop_table("term_windows")
    op.drop_table("terms")
