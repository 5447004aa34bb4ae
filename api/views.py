"""How orders look to those who may see them: the shared view, in the shape that the API documents."""

from typing import cast

from api.schemas.views import OrderView
from contracts import views
from db.reading.orders import StoredOrder
from runtime import tracking_links
from runtime.settings import Settings


def order_view(stored: StoredOrder, settings: Settings) -> OrderView:
    """The order with everything that api.md names."""
    links = views.order_links(
        stored.order.order_id,
        temporal_ui_url=settings.temporal_ui_url,
        temporal_namespace=settings.temporal_namespace,
    ) | {"tracking_page": tracking_links.path_of(stored.order.order_id, settings)}
    return cast(OrderView, views.order_view(stored, links=links))
