"""The append-only ledger of every effect the world has seen: the judge in tests. Nothing here changes an entry."""

from datetime import UTC, datetime
from typing import Any, Literal

from devstack.world.store import Store

Kind = Literal["authorization", "capture", "void", "refund", "label", "label_void", "pick_request"]
COLUMNS = ("kind", "key", "reference", "amount_minor", "currency", "order_id", "at")


class Ledger:
    """Entries in the order in which the effects happened."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def append(
        self,
        kind: Kind,
        *,
        key: str,
        reference: str,
        order_id: str | None,
        amount_minor: int | None = None,
        currency: str | None = None,
    ) -> None:
        """One more effect, inside the transaction that has it."""
        at = datetime.now(UTC).isoformat()
        self._store.db.execute(
            "INSERT INTO ledger (kind, key, reference, amount_minor, currency, order_id, at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (kind, key, reference, amount_minor, currency and currency.upper(), order_id, at),
        )

    def entries(self, *, order_id: str | None = None, kind: str | None = None) -> list[dict[str, Any]]:
        """The entries of an order and a kind, or all of them, oldest first."""
        wanted = {"order_id": order_id, "kind": kind}
        asked = {name: value for name, value in wanted.items() if value is not None}
        where = " AND ".join(f"{name} = ?" for name in asked) or "1"
        rows = self._store.db.execute(
            f"SELECT {', '.join(COLUMNS)} FROM ledger WHERE {where} ORDER BY sequence", tuple(asked.values())
        )
        return [dict(zip(COLUMNS, row, strict=True)) for row in rows]
