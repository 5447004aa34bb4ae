"""Ids of an order's parts, derived from the order's id and the part's place, so that every replay and retry agrees."""


def _tail(order_id: str) -> str:
    return order_id.removeprefix("ord_")


def payment_id(order_id: str, number: int) -> str:
    """The order's *number*-th payment, from 1."""
    return f"pay_{_tail(order_id)}_{number}"


def later_payment_id(order_id: str, word: str) -> str:
    """A payment that came with a command, named by a *word* of letters and digits that the command alone has."""
    return f"pay_{_tail(order_id)}_{word}"


def fulfillment_id(order_id: str, number: int) -> str:
    """The order's *number*-th fulfillment, from 1."""
    return f"ful_{_tail(order_id)}_{number}"


def served_fulfillment_id(order_id: str, serving: int) -> str:
    """The fulfillment that the *serving*-th serving of the queue, over all orders, made of the order's units."""
    return f"ful_{_tail(order_id)}_b{serving}"


def parcel_id(order_id: str, number: int) -> str:
    """The order's *number*-th parcel, from 1."""
    return f"par_{_tail(order_id)}_{number}"


def attention_id(order_id: str, number: int) -> str:
    """The order's *number*-th attention case, from 1."""
    return f"att_{_tail(order_id)}_{number}"


def hold_id(order_id: str, reason: str) -> str:
    """The hold of that reason."""
    return f"hld_{_tail(order_id)}_{reason}"


def numbered_hold_id(order_id: str, number: int) -> str:
    """The order's *number*-th hold that a person placed, from 1."""
    return f"hld_{_tail(order_id)}_{number}"


def cancellation_id(order_id: str, number: int) -> str:
    """The order's *number*-th cancellation, from 1."""
    return f"can_{_tail(order_id)}_{number}"


def request_id(order_id: str, number: int) -> str:
    """The order's *number*-th request to a warehouse, from 1."""
    return f"req_{_tail(order_id)}_{number}"


def authorization_id(fulfillment_id: str, payment_id: str, generation: int) -> str:
    """One attempt to hold the money of one payment for one fulfillment."""
    return f"{fulfillment_id}:{payment_id.rsplit('_', 1)[1]}:{generation}"


def step_key(order_id: str, purpose: str, subject: str, generation: int = 1) -> str:
    """The idempotency key of a step: ids, purpose and generation, never a run id."""
    return f"{order_id}:{purpose}:{subject}:{generation}"


def command_mark(command_id: str) -> str:
    """How a command that was applied stands among the facts that were."""
    return f"command/{command_id}"
