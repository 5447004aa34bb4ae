"""risk"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.add_column("order_contacts", sa.Column("address_fingerprint", sa.LargeBinary(), nullable=True))
    op.create_index(
        "order_contacts_by_fingerprint",
        "order_contacts",
        ["address_fingerprint", "order_id"],
        unique=False,
        postgresql_where=sa.text("address_fingerprint IS NOT NULL"),
    )
    op.add_column("payment_tokens", sa.Column("token_fingerprint", sa.LargeBinary(), nullable=True))
    op.create_index(
        "payment_tokens_by_fingerprint",
        "payment_tokens",
        ["token_fingerprint", "order_id"],
        unique=False,
        postgresql_where=sa.text("token_fingerprint IS NOT NULL"),
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.drop_index("payment_tokens_by_fingerprint", table_name="payment_tokens")
    op.drop_column("payment_tokens", "token_fingerprint")
    op.drop_index("order_contacts_by_fingerprint", table_name="order_contacts")
    op.drop_column("order_contacts", "address_fingerprint")
