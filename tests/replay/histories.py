"""Keeping histories and replaying them in the sandbox that workers use."""

import json
from collections.abc import Sequence
from pathlib import Path

from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from runtime.wire import data_converter
from workers.wiring import runner
from workflows.orders import OrderWorkflow

HERE = Path(__file__).parent
FOLDER = HERE / "histories"
ROOT = str(HERE.parents[1])
WORKFLOW_ID = "order-ord_replayed"


async def replay(history: WorkflowHistory, workflow: type = OrderWorkflow) -> None:
    """Replay *history* on this code; raises when it would have done something else."""
    replayer = Replayer(workflows=[workflow], workflow_runner=runner(), data_converter=data_converter)
    await replayer.replay_workflow(history)


def store(folder: Path, name: str, runs: Sequence[WorkflowHistory]) -> None:
    """Write the histories of one order's *runs*, without where on a machine they were made."""
    folder.mkdir(exist_ok=True)
    for number, run in enumerate(runs, start=1):
        content = json.loads(run.to_json().replace(ROOT, "."))
        suffix = f".{number}" if len(runs) > 1 else ""
        (folder / f"{name}{suffix}.json").write_text(json.dumps(content, indent=0) + "\n")


def stored() -> list[Path]:
    """The files of all kept histories."""
    return sorted(FOLDER.glob("*.json"))


def load(path: Path) -> WorkflowHistory:
    """The history in *path*."""
    return WorkflowHistory.from_json(WORKFLOW_ID, path.read_text())
