"""webhooks and streams"""

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


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '4s'")
    op.execute("DROP TRIGGER order_events_announce ON order_events")
    op.execute("DROP FUNCTION tell_of_event")
