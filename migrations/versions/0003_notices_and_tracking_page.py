"""notices and tracking page"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.create_table(
        "feed_cursors",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "notices",
        sa.Column("notice_id", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("occasion", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("locale", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("message", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("notice_id"),
        sa.UniqueConstraint("order_id", "occasion", "kind", "channel", name="notices_once"),
    )
    queued, given_up = sa.text("state = 'queued'"), sa.text("state = 'given_up'")
    op.create_index("notices_ready", "notices", ["due_at"], unique=False, postgresql_where=queued)
    op.create_index("notices_waiting", "notices", ["order_id", "sequence"], unique=False, postgresql_where=queued)
    op.create_index("notices_given_up", "notices", ["settled_at"], unique=False, postgresql_where=given_up)
    op.create_table(
        "delivery_ratings",
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("score", sa.SmallInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("rated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("order_id"),
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.drop_table("delivery_ratings")
    op.drop_index("notices_given_up", table_name="notices", postgresql_where=sa.text("state = 'given_up'"))
    op.drop_index("notices_waiting", table_name="notices", postgresql_where=sa.text("state = 'queued'"))
    op.drop_index("notices_ready", table_name="notices", postgresql_where=sa.text("state = 'queued'"))
    op.drop_table("notices")
    op.drop_table("feed_cursors")
