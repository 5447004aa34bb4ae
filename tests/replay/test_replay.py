"""Stored histories, one per path, replay on this code; commands in another order do not.

A history is recorded anew only for a path that is new: ``make histories``. One that no longer replays is the proof that a
running order would break; the change goes behind ``workflow.patched``.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner
from temporalio.workflow import NondeterminismError

from contracts import names
from contracts.orders import OrderInput
from db.session import create_sessions, dispose
from domain.life import Applied
from domain.messages import CarrierFact, PaymentFact, WarehouseFact
from domain.orders import Order
from runtime import engine
from runtime.settings import Settings
from runtime.wire import data_converter
from tests.replay.paths import PATHS
from tests.workflows.personal import personal_words
from tests.workflows.shop import Shop
from workers.wiring import runner
from workflows.loop import Applier
from workflows.orders import LIFE, OrderHands, OrderWorkflow

FOLDER = Path(__file__).parent / "histories"
RECORD = os.environ.get("DOORSTEP_RECORD_HISTORIES", "")


def _stored(path: str) -> WorkflowHistory:
    return WorkflowHistory.from_json(f"order-{path}", (FOLDER / f"{path}.json").read_text())


def _without_machine(history: str) -> str:
    """*history* without stack traces, which say where programs stand on the machine that recorded it."""
    content = json.loads(history, object_hook=lambda part: {k: v for k, v in part.items() if k != "stackTrace"})
    return json.dumps(content, indent=2) + "\n"


@pytest.mark.skipif(
    not RECORD, reason="records a history; set DOORSTEP_RECORD_HISTORIES to a path's name, or to missing"
)
@pytest.mark.parametrize("path", PATHS)
async def test_record(path: str, database_url: str, temporal_server: str) -> None:
    if RECORD not in {path, "missing"} or (RECORD == "missing" and (FOLDER / f"{path}.json").exists()):
        return
    sessions = create_sessions(database_url, pool_size=5)
    client = await engine.connect_now(Settings(database_url=database_url, temporal_address=temporal_server))
    shop = Shop(sessions=sessions, client=client)
    await shop.open()
    async with shop.worker():
        await PATHS[path](shop)
        history = await shop.handle.fetch_history()
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{path}.json").write_text(_without_machine(history.to_json().replace(client.identity, "recorder")))
    await dispose(sessions)
    assert (FOLDER / f"{path}.json").exists()


@pytest.mark.parametrize("path", PATHS)
async def test_a_stored_history_replays(path: str) -> None:
    replayer = Replayer(workflows=[OrderWorkflow], workflow_runner=runner(), data_converter=data_converter)

    result = await replayer.replay_workflow(_stored(path))

    assert result.replay_failure is None


@pytest.mark.parametrize("path", PATHS)
def test_a_stored_history_names_nobody_and_no_machine(path: str) -> None:
    assert personal_words(_stored(path)) == []
    assert "stackTrace" not in (FOLDER / f"{path}.json").read_text()


def test_every_stored_history_has_its_path() -> None:
    assert {file.stem for file in FOLDER.glob("*.json")} == set(PATHS)


class HastyHands(OrderHands):
    """Rests before it writes: a command where the stored histories have none."""

    async def write(self, before: Order, after: Order, applied: Sequence[Applied], *, durable: bool) -> None:
        await workflow.sleep(0.001)
        await super().write(before, after, applied, durable=durable)


@workflow.defn(name=names.ORDER_WORKFLOW, sandboxed=False)
class HastyWorkflow:
    """An order whose writes come a timer late."""

    @workflow.init
    def __init__(self, start: OrderInput) -> None:
        self._applier = Applier(start.order, life=LIFE, hands=HastyHands(start.order), crowded=lambda: False)

    @workflow.run
    async def run(self, start: OrderInput) -> str:
        order = await self._applier.run()
        return order.announced.value

    @workflow.signal(name=names.WAREHOUSE_FACT)
    def warehouse_fact(self, fact: WarehouseFact) -> None:
        self._applier.post(fact)

    @workflow.signal(name=names.CARRIER_FACT)
    def carrier_fact(self, fact: CarrierFact) -> None:
        self._applier.post(fact)

    @workflow.signal(name=names.PAYMENT_FACT)
    def payment_fact(self, fact: PaymentFact) -> None:
        self._applier.post(fact)


async def test_commands_in_another_order_do_not_replay() -> None:
    replayer = Replayer(
        workflows=[HastyWorkflow], workflow_runner=UnsandboxedWorkflowRunner(), data_converter=data_converter
    )

    result = await replayer.replay_workflow(_stored("delivered"), raise_on_replay_failure=False)

    assert isinstance(result.replay_failure, NondeterminismError)
