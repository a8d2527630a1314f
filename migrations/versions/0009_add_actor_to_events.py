"""Add to the record who made a move; null where nobody had to say so, and in what stands already.

Revision: 0009, after 0008.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("enrollment_events", sa.Column("actor", sa.Text))


def downgrade() -> None:
    op.drop_column("enrollment_events", "actor")
