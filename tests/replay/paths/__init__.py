"""The paths an order can take, each played on a real engine to be stored as a history."""

from collections.abc import Awaitable, Callable, Mapping

from tests.replay.paths import alone, commanded
from tests.workflows.shop import Shop

PATHS: Mapping[str, Callable[[Shop], Awaitable[None]]] = {
    path.__name__: path
    for path in (
        alone.delivered,
        alone.declined,
        alone.second_payment_declined,
        alone.out_of_stock,
        alone.two_locations,
        alone.customer_acts,
        alone.customer_fails,
        alone.customer_never_acts,
        alone.provider_away,
        alone.cash_on_delivery,
        alone.prepaid,
        alone.short_picked,
        alone.nothing_found,
        alone.refused,
        alone.refused_after_packing,
        alone.own_label,
        alone.facts_before_their_time,
        alone.two_parcels,
        alone.delivery_failed_first,
        alone.lost,
        alone.sent_back,
        alone.label_refused,
        alone.capture_refused,
        alone.warehouse_silent,
        alone.continued_as_new,
        commanded.cancelled_before_the_release,
        commanded.cancelled_by_request,
        commanded.cancellation_refused,
        commanded.cancellation_unanswered,
        commanded.part_cancelled,
        commanded.held_and_released,
        commanded.held_and_rejected,
        commanded.address_changed,
        commanded.label_refused_and_retried,
        commanded.lost_and_marked_delivered,
        commanded.paid_otherwise,
    )
}
