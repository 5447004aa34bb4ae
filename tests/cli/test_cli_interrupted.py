"""What happens when a line breaks: connections cut, an import killed, a person who presses Ctrl-C."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from cli.client import Client
from cli.stack import Stack

ORDERS = 400


async def test_cut_connections_are_made_again() -> None:
    cut = iter([True, True, False])

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if not next(cut):
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with Client(Stack(api_url=f"http://127.0.0.1:{port}", keys={"support": "k"})) as client:
        response = await client.get("/v1/orders", role="support")

    assert response.status_code == 200
    server.close()
    await server.wait_closed()


def begin(api: Any, tmp_path: Path, make_order: Any) -> tuple[list[str], subprocess.Popen[str]]:
    """An import that is under way, some orders sent and more to come."""
    file = tmp_path / "orders.jsonl"
    file.write_text("".join(json.dumps(make_order(str(number))) + "\n" for number in range(ORDERS)))
    command = [
        sys.executable,
        "-m",
        "cli",
        "import",
        str(file),
        "--data",
        str(api.folder(tmp_path / "data")),
        "-c",
        "4",
    ]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)
    until = time.monotonic() + 30
    while len(api.orders) < 20 and time.monotonic() < until:
        time.sleep(0.005)
    return command, running


def test_a_killed_import_goes_on_where_it_stopped(api: Any, tmp_path: Path, make_order: Any) -> None:
    command, running = begin(api, tmp_path, make_order)
    running.kill()
    running.communicate()
    sent = len(api.orders)
    assert 0 < sent < ORDERS

    again = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert again.returncode == 0, again.stderr
    assert len({order["identity"] for order in api.orders.values()}) == len(api.orders) == ORDERS
    told = re.search(r"orders: (\d+) accepted, (\d+) there before, 0 failed", again.stdout)
    assert told is not None and int(told[1]) + int(told[2]) == ORDERS and int(told[2]) >= sent


def test_ctrl_c_ends_an_import_with_one_line(api: Any, tmp_path: Path, make_order: Any) -> None:
    _, running = begin(api, tmp_path, make_order)
    running.send_signal(signal.SIGINT)

    _, errors = running.communicate(timeout=20)

    assert running.returncode == 130
    assert errors == "doorstep: stopped; run it again to go on\n"
