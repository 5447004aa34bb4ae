"""commands"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.create_table(
        "order_notes",
        sa.Column("note_id", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("actor_kind", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("note_id"),
    )
    op.create_table(
        "backorders",
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("line_id", sa.Text(), nullable=False),
        sa.Column("sku", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("queued_by", sa.Text(), nullable=False),
        sa.CheckConstraint("quantity > 0", name="backorders_positive"),
        sa.PrimaryKeyConstraint("order_id", "line_id"),
    )
    op.create_index(
        "backorders_in_turn",
        "backorders",
        ["sku", sa.text("priority DESC"), "received_at", "order_id", "line_id"],
        unique=False,
    )
    op.execute("CREATE SEQUENCE backorder_servings")
    op.add_column("order_contacts", sa.Column("command_id", sa.Text(), nullable=True))
    op.create_index(op.f("ix_order_notes_order_id"), "order_notes", ["order_id"], unique=False)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.execute("DROP SEQUENCE backorder_servings")
    op.drop_index("backorders_in_turn", table_name="backorders")
    op.drop_table("backorders")
    op.drop_column("order_contacts", "command_id")
    op.drop_index(op.f("ix_order_notes_order_id"), table_name="order_notes")
    op.drop_table("order_notes")
