"""Deliveries of an earlier release survive the migration to frozen bodies, and the way back."""

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from devstack.children import ROOT
from tests.fixtures.postgres import run, with_database


@pytest.fixture
def empty_url(postgres_url: str) -> Iterator[str]:
    """A database without any table."""
    name = f"doorstep_empty_{uuid4().hex[:12]}"
    run(_do(postgres_url, f"CREATE DATABASE {name}"))
    yield with_database(postgres_url, name)
    run(_do(postgres_url, f"DROP DATABASE {name} WITH (FORCE)"))


async def _do(url: str, *statements: str) -> list[dict[str, Any]]:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements[:-1]:
            await connection.execute(statement)
        return [dict(row) for row in await connection.fetch(statements[-1])]
    finally:
        await connection.close()


def _alembic(url: str, *words: str) -> None:
    command = [sys.executable, "-m", "alembic", "-c", str(ROOT / "alembic.ini"), *words]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "DATABASE_URL": url}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_was_queued_goes_on_and_what_was_taken_stays_taken(empty_url: str):
    _alembic(empty_url, "upgrade", "0001")
    before = run(
        _do(
            empty_url,
            "INSERT INTO webhook_endpoints (endpoint_id, key_id, url, secret, events) VALUES ('whk_1','k','u','s','{a}')",
            "INSERT INTO order_events (order_id, sequence, cause_id, ordinal, position, kind, at, actor_kind, data)"
            " SELECT 'o', n, 'c', n, 10 + n, 'a', now(), 'system', '{}' FROM generate_series(1, 3) n",
            "INSERT INTO webhook_deliveries (delivery_id, endpoint_id, order_id, sequence, kind, delivered_at)"
            " VALUES ('m1', 'whk_1', 'o', 1, 'a', now()), ('m2', 'whk_1', 'o', 2, 'a', NULL)",
            "SELECT delivery_id, due_at FROM webhook_deliveries ORDER BY delivery_id",
        )
    )

    _alembic(empty_url, "upgrade", "0002")
    after = run(_do(empty_url, "SELECT * FROM webhook_deliveries ORDER BY delivery_id"))
    run(_do(empty_url, "UPDATE webhook_deliveries SET given_up_at = now(), due_at = NULL WHERE delivery_id = 'm2'"))
    _alembic(empty_url, "downgrade", "0001")
    back = run(_do(empty_url, "SELECT * FROM webhook_deliveries WHERE delivered_at IS NULL"))
    _alembic(empty_url, "upgrade", "0002")

    assert [(row["delivery_id"], row["position"], row["body"]) for row in after] == [("m1", 11, None), ("m2", 12, None)]
    assert [row["due_at"] for row in after] == [None, before[1]["due_at"]]
    assert back == [], "what was given up is not tried for ever after the way back"
