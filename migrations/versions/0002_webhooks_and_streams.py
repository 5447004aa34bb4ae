"""webhooks and streams"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.execute(
        "CREATE FUNCTION tell_of_event() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_notify('doorstep_events', NEW.order_id); RETURN NULL; END $$"
    )
    op.execute(
        "CREATE TRIGGER order_events_announce AFTER INSERT ON order_events"
        " FOR EACH ROW EXECUTE FUNCTION tell_of_event()"
    )
    time = sa.DateTime(timezone=True)
    op.add_column("webhook_endpoints", sa.Column("profile", sa.Text(), server_default="standard", nullable=False))
    op.add_column("webhook_endpoints", sa.Column("previous_secret", sa.Text(), nullable=True))
    op.add_column("webhook_endpoints", sa.Column("previous_until", time, nullable=True))
    op.add_column("webhook_endpoints", sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.add_column("webhook_endpoints", sa.Column("failing_since", time, nullable=True))
    op.add_column("webhook_endpoints", sa.Column("disabled_reason", sa.Text(), nullable=True))
    op.add_column("webhook_deliveries", sa.Column("position", sa.BigInteger(), nullable=True))
    op.add_column("webhook_deliveries", sa.Column("body", sa.Text(), nullable=True))
    for name in ("leased_until", "given_up_at", "redelivered_at", "last_attempt_at"):
        op.add_column("webhook_deliveries", sa.Column(name, time, nullable=True))
    op.alter_column("webhook_deliveries", "due_at", nullable=True)
    op.execute(
        "UPDATE webhook_deliveries d SET position = e.position,"
        " due_at = CASE WHEN d.delivered_at IS NULL THEN d.due_at END FROM order_events e"
        " WHERE e.order_id = d.order_id AND e.sequence = d.sequence"
    )
    op.alter_column("webhook_deliveries", "position", nullable=False)
    op.create_unique_constraint("webhook_deliveries_log", "webhook_deliveries", ["endpoint_id", "position"])
    op.drop_index("webhook_deliveries_ready", table_name="webhook_deliveries")
    op.create_index(
        "webhook_deliveries_ready",
        "webhook_deliveries",
        ["endpoint_id", "due_at"],
        unique=False,
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_index("webhook_deliveries_by_age", "webhook_deliveries", ["created_at"], unique=False)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.drop_index("webhook_deliveries_by_age", table_name="webhook_deliveries")
    op.drop_index("webhook_deliveries_ready", table_name="webhook_deliveries")
    # What was given up stays so: without the new columns it would be tried for ever.
    op.execute("UPDATE webhook_deliveries SET delivered_at = given_up_at WHERE given_up_at IS NOT NULL")
    op.execute("UPDATE webhook_deliveries SET due_at = now() WHERE due_at IS NULL")
    op.create_index(
        "webhook_deliveries_ready",
        "webhook_deliveries",
        ["due_at"],
        unique=False,
        postgresql_where=sa.text("delivered_at IS NULL"),
    )
    op.drop_constraint("webhook_deliveries_log", "webhook_deliveries")
    op.alter_column("webhook_deliveries", "due_at", nullable=False)
    for name in ("last_attempt_at", "redelivered_at", "given_up_at", "leased_until", "body", "position"):
        op.drop_column("webhook_deliveries", name)
    for name in ("disabled_reason", "failing_since", "failures", "previous_until", "previous_secret", "profile"):
        op.drop_column("webhook_endpoints", name)
    op.execute("DROP TRIGGER order_events_announce ON order_events")
    op.execute("DROP FUNCTION tell_of_event")
