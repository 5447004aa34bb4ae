"""`doorstep import` against an API over real HTTP: what goes in, what is reported, and that twice is once."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from starlette.responses import JSONResponse

from cli import commands, rows
from cli.client import ApiAwayError, Client
from cli.importing import Import, receipt_reference, request_for
from cli.rows import BadLine, Kind, Row, survey
from cli.stack import Stack

pytestmark = pytest.mark.filterwarnings("error")
MUG = {"sku": "MUG", "name": "A mug", "weight_g": 300, "length_mm": 90, "width_mm": 90, "height_mm": 120}
LEEDS = {"location_id": "LEEDS", "name": "Leeds", "country": "GB", "postal_code": "LS1 4DY"}


def write(path: Path, *lines: object) -> Path:
    text = (line if isinstance(line, str) else json.dumps(line) for line in lines)
    path.write_text("".join(f"{line}\n" for line in text))
    return path


def stock(quantity: int, sku: str = "MUG") -> dict[str, Any]:
    return {"location_id": "LEEDS", "sku": sku, "quantity": quantity}


def run(api: Any, output: Console, *files: Path, wait: float | None = None) -> int:
    work = commands.import_files(api.stack(), files, output, concurrency=8, wait_seconds=wait)
    return asyncio.run(work)


def test_every_kind_goes_to_its_route_in_the_order_that_they_need_each_other(
    api: Any, output: Console, tmp_path: Path, make_order: Any
) -> None:
    mixed = write(tmp_path / "all.jsonl", make_order("1"), stock(5), MUG, LEEDS)

    assert run(api, output, mixed) == 0

    calls = [path for method, path in api.received if method != "GET"]
    assert calls == ["/v1/locations/LEEDS", "/v1/products/MUG", "/v1/stock/receipts", "/v1/orders"]
    assert api.on_hand == {("LEEDS", "MUG"): 5}
    assert "sku" not in api.products["MUG"]


def test_bad_lines_are_named_with_their_reasons_while_the_good_ones_go_on(
    api: Any, output: Console, text: Callable[[], str], tmp_path: Path, make_order: Any
) -> None:
    file = write(
        tmp_path / "orders.jsonl",
        "{not json",
        make_order("1"),
        "",
        [1, 2],
        {"colour": "red"},
        make_order("2", lines=[]),
        make_order("3", expect={"status": "delivered"}),
        {"sku": "\x1b[2J", "weight_g": 1},
        make_order("4"),
    )

    status = run(api, output, file)

    said = text()
    assert status == 1
    assert [order["identity"][2] for order in api.orders.values()] == ["1", "4"]
    assert f"{file}:1: not JSON" in said
    assert f"{file}:4: not a JSON object" in said
    assert f"{file}:5: neither an order" in said
    assert f"{file}:6: 2 422 invalid_request: lines too_short" in said
    assert f"{file}:7: expect: unknown field status" in said
    assert f"{file}:8: 422 invalid_request: name missing required" in said
    assert "\x1b" not in said
    assert "6 lines failed" in said


def test_a_second_import_finds_everything_there(
    api: Any, output: Console, text: Callable[[], str], tmp_path: Path, make_order: Any
) -> None:
    files = [
        write(tmp_path / "orders.jsonl", *(make_order(str(number)) for number in range(20))),
        write(tmp_path / "stock.jsonl", *(stock(5, f"SKU-{number}") for number in range(30))),
        write(tmp_path / "products.jsonl", *({**MUG, "sku": f"SKU-{number}"} for number in range(30)), LEEDS),
    ]
    assert run(api, output, *files) == 0
    booked = dict(api.on_hand)

    assert run(api, output, *reversed(files)) == 0

    assert len(api.orders) == 20
    assert api.on_hand == booked
    assert "orders: 0 accepted, 20 there before, 0 failed" in text()
    assert "stock: 0 booked, 30 there before, 0 failed" in text()


def test_stock_lines_may_be_put_right_added_and_moved_and_each_is_booked_once(
    api: Any, output: Console, tmp_path: Path
) -> None:
    for sku in ("A", "B", "C", "D"):
        api.products[sku] = MUG
    assert (
        run(api, output, write(tmp_path / "stock.jsonl", "{broken", stock(2, "B"), stock(4, "B"), stock(1, "X"))) == 1
    )
    assert api.on_hand == {("LEEDS", "B"): 6}

    mended = write(tmp_path / "stock.jsonl", stock(9, "D"), stock(1, "A"), stock(2, "B"), stock(4, "B"), stock(3, "C"))

    assert run(api, output, mended) == 0
    assert api.on_hand == {("LEEDS", "A"): 1, ("LEEDS", "B"): 6, ("LEEDS", "C"): 3, ("LEEDS", "D"): 9}


def test_a_changed_quantity_is_refused_and_never_booked_on_top(
    api: Any, output: Console, text: Callable[[], str], tmp_path: Path
) -> None:
    api.products["MUG"] = MUG
    run(api, output, write(tmp_path / "stock.jsonl", stock(5)))

    assert run(api, output, write(tmp_path / "stock.jsonl", stock(7))) == 1

    assert api.on_hand == {("LEEDS", "MUG"): 5}
    assert "reference_taken" in text()
    assert run(api, output, write(tmp_path / "tuesday.jsonl", stock(7))) == 0
    assert api.on_hand == {("LEEDS", "MUG"): 12}


def test_limits_outages_and_requests_in_flight_are_waited_out(
    api: Any, output: Console, tmp_path: Path, make_order: Any
) -> None:
    for status, code in ((429, "too_many"), (503, "command_pending"), (409, "idempotency_in_flight"), (500, "oops")):
        body = {"code": code, "status": status}
        api.trouble.append(JSONResponse(body, status, headers={"Retry-After": "0"}))

    assert run(api, output, write(tmp_path / "orders.jsonl", make_order("1"))) == 0

    assert len(api.orders) == 1


def test_an_answer_lost_on_the_way_makes_no_second_order(
    api: Any, output: Console, tmp_path: Path, make_order: Any
) -> None:
    file = write(
        tmp_path / "orders.jsonl", make_order("1", payments=[{"method": "card", "token": "pm_card_chargeDeclined"}])
    )
    run(api, output, file)
    next(iter(api.orders.values()))["state"] = "rejected"

    assert run(api, output, file) == 0

    assert len(api.orders) == 1, "a rejected order may be replaced, but not by sending the same line again"


def test_an_order_with_its_fields_in_another_order_is_the_same_order(
    api: Any, output: Console, tmp_path: Path, make_order: Any
) -> None:
    run(api, output, write(tmp_path / "orders.jsonl", make_order("1")))

    assert run(api, output, write(tmp_path / "turned.jsonl", dict(reversed(make_order("1").items())))) == 0

    assert len(api.orders) == 1


def test_an_api_that_stays_away_ends_the_run_with_one_line(tmp_path: Path, make_order: Any) -> None:
    file = write(tmp_path / "orders.jsonl", make_order("1"))

    async def work() -> None:
        stack = Stack(api_url="http://127.0.0.1:9", keys={"storefront": "k"})
        async with Client(stack, patience=0.3) as client:
            with pytest.raises(ApiAwayError, match="nothing answers at"):
                await client.check_answers()
            await Import(client).run([file], survey([file]))

    with pytest.raises(ApiAwayError, match="gave no answer"):
        asyncio.run(work())


def test_waiting_checks_how_the_orders_ended(
    api: Any, output: Console, text: Callable[[], str], tmp_path: Path, make_order: Any
) -> None:
    good = write(
        tmp_path / "good.jsonl", make_order("1", expect={"state": "delivered", "captured_minor": 900}), make_order("2")
    )
    wrong = write(tmp_path / "wrong.jsonl", make_order("3", expect={"state": "rejected", "outcome": "out_of_stock"}))

    assert run(api, output, good, wait=20) == 0
    assert run(api, output, good, wrong, wait=20) == 1

    assert (
        "wrong.jsonl:1: 3 (ord_00003) state delivered instead of rejected, outcome None instead of out_of_stock"
        in text()
    )


def test_waiting_gives_up_when_nothing_moves(
    api: Any, output: Console, text: Callable[[], str], tmp_path: Path, make_order: Any
) -> None:
    api.stuck = True

    assert run(api, output, write(tmp_path / "orders.jsonl", make_order("1")), wait=1) == 1

    assert "gave up waiting" in text()
    assert "still received" in text()


def test_lists_that_show_summaries_only_are_followed_too(
    api: Any, output: Console, tmp_path: Path, make_order: Any
) -> None:
    api.summaries_only = True
    orders = [make_order(str(number), expect={"captured_minor": 900}) for number in range(40)]

    assert run(api, output, write(tmp_path / "orders.jsonl", *orders), wait=20) == 0


def test_a_put_has_no_idempotency_key_so_that_it_puts_back_what_was_changed() -> None:
    row = Row(path=Path("p"), number=1, kind=Kind.PRODUCT, body={"sku": "A/1 ?", "name": "x"})

    method, path, body, key = request_for(row)

    assert (method, path, body, key) == ("PUT", "/v1/products/A%2F1%20%3F", {"name": "x"}, None)


def test_references_are_readable_where_they_can_be_and_short_always() -> None:
    plain = Row(path=Path("a/stock.jsonl"), number=7, kind=Kind.STOCK, body=stock(1), repeat=2)
    odd = Row(path=Path("\x07" * 200), number=7, kind=Kind.STOCK, body=stock(1))

    assert receipt_reference(plain) == "stock.jsonl:MUG:2"
    assert receipt_reference(odd).isprintable()
    assert len(receipt_reference(odd)) <= 64


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"order_ref": "1"}, Kind.ORDER),
        ({"channel": "web", "lines": []}, Kind.ORDER),
        ({"sku": "A", "name": "x"}, Kind.PRODUCT),
        ({"location_id": "L"}, Kind.LOCATION),
        ({"location_id": "L", "sku": "A", "quantity": 1}, Kind.STOCK),
        ({}, None),
    ],
)
def test_a_line_is_told_by_its_fields(body: dict[str, Any], kind: Kind | None) -> None:
    assert rows.recognise(body) is kind


def test_a_line_without_end_is_reported_and_does_not_fill_the_memory(tmp_path: Path) -> None:
    file = tmp_path / "long.jsonl"
    file.write_bytes(b"x" * (3 * rows.LONGEST_LINE) + b"\n" + json.dumps(LEEDS).encode())

    first, second = rows.read(file)

    assert isinstance(first, BadLine) and first.reason.startswith("longer than")
    assert isinstance(second, Row) and second.number == 2


def test_a_byte_order_mark_is_not_part_of_the_first_line(tmp_path: Path) -> None:
    file = tmp_path / "bom.jsonl"
    file.write_bytes(b"\xef\xbb\xbf" + json.dumps(LEEDS).encode() + b"\r\n\r\n")

    (row,) = rows.read(file)

    assert isinstance(row, Row) and row.kind is Kind.LOCATION


@pytest.mark.parametrize("name", ["", ".", "..", 7, None])
def test_a_name_that_would_change_the_address_is_refused_here(tmp_path: Path, name: object) -> None:
    (line,) = rows.read(write(tmp_path / "p.jsonl", {"sku": name, "name": "x"}))

    assert isinstance(line, BadLine)
