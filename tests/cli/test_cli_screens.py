"""What people see: one order's story, the live board, the demo's lines; and that no data can steer a terminal."""

import asyncio
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cli import order
from cli.demo import run_demo
from cli.live import Board, SeenEvent, render, summary_line
from cli.text import clean, money, short_data, span

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
VIEW: dict[str, Any] = {
    "order_id": "ord_7",
    "order_ref": "10001",
    "channel": "web",
    "source": "default",
    "service_level": "express",
    "priority": 5,
    "currency": "GBP",
    "state": "fulfilling",
    "outcome": None,
    "received_at": "2026-03-01T09:00:00Z",
    "changed_at": "2026-03-01T09:00:05Z",
    "promise": {"ship_by": "2026-03-02T09:00:00Z", "deliver_by": "2026-03-04T09:00:00Z"},
    "amounts": {"total_minor": 2025, "authorized_minor": 2025, "captured_minor": 0, "refunded_minor": 0},
    "payments": [{"payment_id": "pay_1", "method": "card", "state": "authorized", "amount_minor": 2025}],
    "lines": [
        {
            "line_id": "1",
            "sku": "MUG",
            "name": "Mug [red]not markup[/red]\x1b[31m",
            "quantity": 6,
            "unit_price_minor": 255,
            "quantities": {"ordered": 6, "at_warehouse": 4, "packed": 0, "cancelled": 2},
        }
    ],
    "holds": [],
    "waits": [
        {
            "subject": "ful_1",
            "owner": "warehouse",
            "person": None,
            "next_step": "pack",
            "due_at": "2026-03-01T11:00:00Z",
        }
    ],
    "attention": [
        {
            "code": "label_failed",
            "subject": "par_1",
            "owner": "dispatch",
            "due_at": "2026-03-01T13:00:00Z",
            "cause": "the carrier\u202e refused",
            "fixes": [{"fix": "reroute"}, {"fix": "retry"}],
        }
    ],
    "fulfillments": [
        {
            "fulfillment_id": "ful_1",
            "location_id": "LEEDS",
            "state": "picked",
            "parcels": [
                {
                    "parcel_ref": "A",
                    "state": "labelled",
                    "carrier": "swift",
                    "service": "express",
                    "tracking_number": "SW123",
                    "tracking_status": "pending",
                }
            ],
        }
    ],
    "decisions": [{"kind": "sourcing", "at": "2026-03-01T09:00:01Z", "chosen": ["LEEDS"], "candidates": [{}, {}]}],
    "links": {"temporal": "http://127.0.0.1:8233/x"},
}
EVENTS = [
    {"sequence": 1, "kind": "order.received", "at": "2026-03-01T09:00:00Z", "actor": "system", "data": {"lines": 1}},
    {"sequence": 2, "kind": "order.confirmed", "at": "2026-03-01T09:00:01Z", "actor": {"kind": "support", "id": "a.b"}},
]


def drawn(renderable: Any, *, width: int = 200) -> str:
    console = Console(file=io.StringIO(), record=True, width=width, color_system=None)
    console.print(renderable)
    return console.export_text()


def test_an_orders_story_names_state_owner_money_parcels_decisions_and_events() -> None:
    story = drawn(order.render(VIEW, EVENTS, NOW))

    for words in (
        "ord_7  10001  fulfilling",
        "pack by warehouse  ful_1  due 2026-03-01 11:00:00Z (60 min ago)",
        "4 at_warehouse, 2 cancelled",
        "total 20.25 GBP  authorized 20.25 GBP  captured 0.00 GBP",
        "SW123",
        "swift express",
        "label_failed",
        "reroute, retry",
        "order.confirmed",
        "support:a.b",
        "sourcing",
    ):
        assert words in story, words


def test_data_cannot_steer_the_terminal_nor_pose_as_markup() -> None:
    story = drawn(order.render(VIEW, EVENTS, NOW))

    assert "\x1b" not in story
    assert "\u202e" not in story
    assert "Mug [red]not markup[/red]\\x1b[31m" in story
    assert "the carrier\\u202e refused" in story


def test_a_story_with_nothing_in_it_is_still_drawn() -> None:
    assert "ord_8" in drawn(order.render({"order_id": "ord_8", "state": "received"}, [], NOW))


def test_an_end_other_than_delivery_is_shown_with_its_reason() -> None:
    ended = {"order_id": "ord_9", "state": "rejected", "outcome": {"state": "rejected", "reason": "out_of_stock"}}

    assert "rejected (out_of_stock)" in drawn(order.render(ended, [], NOW))


def test_the_board_shows_counts_waits_attention_events_and_pace_in_a_small_terminal() -> None:
    board = Board(
        title="Doorstep",
        counts={"received": 3, "fulfilling": 40, "delivered": 57},
        expected_total=100,
        waits=[("warehouse", "pick", 31, "2026-03-01T11:00:00Z"), *(("carrier", f"step {n}", 1, "") for n in range(9))],
        attention=[(f"S-{n}", "label_failed", "dispatch", "\x1b[2Jno\nanswer") for n in range(5)],
        events=[
            SeenEvent(at="2026-03-01T11:59:58Z", order_ref="S-1", kind="order.delivered", actor="carrier", data="x=1")
        ]
        * 6,
        seconds=19.0,
    )

    shown = drawn(render(board, NOW), width=100)

    assert "57/100 orders at their end" in shown
    assert "3.0 orders/s" in shown
    assert "\\x1b[2Jno\\x0aanswer" in shown
    assert "and 2 more" in shown
    assert len(shown.splitlines()) <= 30
    assert summary_line(board).endswith(
        "waiting for warehouse:pick 31, carrier:step 0 1, carrier:step 1 1 | 5 need attention"
    )


def test_the_demo_brings_the_whole_sample_to_its_ends_and_says_where_to_look(
    api: Any, output: Console, text: Callable[[], str], tmp_path: Path
) -> None:
    file = tmp_path / "stack.json"

    status = asyncio.run(run_demo(api.stack_json(), live=False, stack_file=file, console=output, patience=30))

    # The fake gives every short pick its whole price; the sample does not say what those capture.
    assert status == 0, text()
    assert len(api.orders) == 200
    assert "every order ended as its file says" in text()
    for words in (f"{api.url}/docs", "http://127.0.0.1:8233", "doorstep order ord_", str(file)):
        assert words in text()

    assert asyncio.run(run_demo(api.stack_json(), live=False, console=output, patience=30)) == 0
    assert len(api.orders) == 200
    assert "200 were there before" in text()


def test_the_demo_draws_on_a_terminal(api: Any) -> None:
    screen = Console(file=io.StringIO(), force_terminal=True, width=110, height=40)

    assert asyncio.run(run_demo(api.stack_json(), live=True, console=screen, patience=30)) == 0

    assert "what waits for whom" in screen.file.getvalue()  # type: ignore[attr-defined]


def test_the_demo_names_what_did_not_end_as_its_file_says(api: Any, output: Console, text: Callable[[], str]) -> None:
    api.stuck = True

    assert asyncio.run(run_demo(api.stack_json(), live=False, console=output, patience=2)) == 1

    assert "orders.jsonl:1: S-0001 (ord_" in text()
    assert "still received" in text()


def doorstep(*words: str, key: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in {"DOORSTEP_KEY", "FORCE_COLOR"}}
    environment |= {"DOORSTEP_KEY": key} if key else {}
    command = [sys.executable, "-m", "cli", *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)


def test_the_command_shows_an_order_by_its_reference_and_knows_none_by_another(
    api: Any, tmp_path: Path, make_order: Any
) -> None:
    file = tmp_path / "orders.jsonl"
    file.write_text(json.dumps(make_order("A-1")))
    data = str(api.folder(tmp_path / "data"))
    assert doorstep("import", str(file), "--data", data).returncode == 0

    by_ref, by_id = (
        doorstep("order", "A-1", "--data", data),
        doorstep("order", "ord_00001", "--api", api.url, key="k-sup"),
    )
    unknown = doorstep("order", "B-9", "--data", data)

    assert (by_ref.returncode, by_id.returncode, unknown.returncode) == (0, 0, 1)
    assert "ord_00001  A-1" in by_ref.stdout and "order.confirmed" in by_ref.stdout
    assert "\x1b" not in by_ref.stdout
    assert unknown.stderr.count("\n") == 1 and "no order B-9" in unknown.stderr


def test_one_clear_line_where_nothing_runs(tmp_path: Path) -> None:
    none = doorstep("demo", "--data", str(tmp_path))
    (tmp_path / "stack.json").write_text(json.dumps({"api_url": "http://127.0.0.1:9", "keys": {"support": "k"}}))
    gone = doorstep("order", "x", "--data", str(tmp_path))
    keyless = doorstep("order", "x", "--api", "http://127.0.0.1:9")

    for answer, words in ((none, "nothing runs on"), (gone, "nothing answers at"), (keyless, "DOORSTEP_KEY")):
        assert answer.returncode == 1
        assert words in answer.stderr
        assert answer.stderr.count("\n") == 1, answer.stderr


def test_a_wrong_key_ends_an_import_at_once(api: Any, tmp_path: Path, make_order: Any) -> None:
    file = tmp_path / "orders.jsonl"
    file.write_text("".join(json.dumps(make_order(str(number))) + "\n" for number in range(50)))

    answer = doorstep("import", str(file), "--api", api.url, key="wrong")

    assert answer.returncode == 1
    assert "refuses our key" in answer.stderr
    assert len(api.received) < 40


@pytest.mark.parametrize(
    ("minor", "currency", "shown"),
    [
        (2025, "GBP", "20.25 GBP"),
        (5, "EUR", "0.05 EUR"),
        (1900, "JPY", "1,900 JPY"),
        (1234, "KWD", "1.234 KWD"),
        (None, "GBP", "-"),
    ],
)
def test_money_is_written_by_its_currency(minor: object, currency: str, shown: str) -> None:
    assert money(minor, currency) == shown


def test_small_words() -> None:
    assert clean("a\nb\u2028\U000e0001\ud800") == "a\\x0ab\\u2028\\U000e0001\\ud800"
    assert [span(seconds) for seconds in (5, 300, 9000, 400000)] == ["5 s", "5 min", "2 h", "5 d"]
    assert short_data({"a": 1, "b": None, "c": {"d": [1, 2, 3, 4]}}) == "a=1  c={d:[1, 2, 3, \u2026]}"
