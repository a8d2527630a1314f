"""Create the catalog: entries, and the codes that they name as excluded or the same.

Revision: 0014, after 0013.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "catalog_entries",
        sa.Column("id", ID, sa.Identity(), primary_key=True),
        sa.Column("code", KEY, nullable=False),
        sa.Column("code_key", KEY, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("title_key", KEY, nullable=False),
        sa.Column("credits_min", sa.Integer, nullable=False),
        sa.Column("credits_max", sa.Integer, nullable=False),
        sa.Column("prerequisites", sa.JSON),
        sa.Column("excludes", sa.JSON, nullable=False),
        sa.Column("same_as", sa.JSON, nullable=False),
        sa.Column("max_attempts", sa.Integer),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.UniqueConstraint("code", name="uq_catalog_entries_code"),
        sa.UniqueConstraint("code_key", name="uq_catalog_entries_code_key"),
        sa.CheckConstraint("credits_min <= credits_max", name=op.f("ck_catalog_entries_credits_in_order")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_catalog_entries_title_key_id", "catalog_entries", ["title_key", "id"])
    op.create_index("ix_catalog_entries_created_at_id", "catalog_entries", ["created_at", "id"])
    op.create_table(
        "catalog_relations",
        sa.Column("entry_id", sa.BigInteger, nullable=False),
        sa.Column("kind", KEY, nullable=False),
        sa.Column("code_key", KEY, nullable=False),
        sa.PrimaryKeyConstraint("entry_id", "kind", "code_key", name="pk_catalog_relations"),
        sa.ForeignKeyConstraint(["entry_id"], ["catalog_entries.id"], name="fk_catalog_relations_entry_id_catalog_entries", ondelete="CASCADE"),
        sa.CheckConstraint("kind IN ('excludes', 'same_as')", name=op.f("ck_catalog_relations_kind_known")),
    )
    op.create_index("ix_catalog_relations_code_key_kind", "catalog_relations", ["code_key", "kind"])


def downgrade() -> None:
    op.drop_table("catalog_relations")
    op.drop_table("catalog_entries")
