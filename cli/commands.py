"""What `doorstep import`, `demo` and `order` do once their words are read: finds the stack and runs."""

import asyncio
import json
import time
from collections.abc import Coroutine, Sequence
from pathlib import Path

from rich.console import Console

from cli import order, stack
from cli.client import ApiAwayError, Client, KeyRefusedError
from cli.demo import print_failures, print_wrong, run_demo
from cli.following import Watch, Watched, follow
from cli.importing import Import, Report
from cli.live import board_of, summary_line
from cli.progress import BarProgress, LineProgress
from cli.rows import Kind, Survey, survey
from cli.stack import Stack, StackNotFoundError
from cli.text import clean

# Wide enough that a pipe gets whole rows.
PIPE_WIDTH = 220
WAIT_LINE_EVERY = 5.0


def console() -> Console:
    """Standard output: colours and the window's width on a terminal, plain wide lines in a pipe."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=PIPE_WIDTH, color_system=None)


def run(work: Coroutine[object, object, int], output: Console) -> int:
    """The work's exit status; what stops it whole is said in one line."""
    try:
        return asyncio.run(work)
    except (StackNotFoundError, ApiAwayError, KeyRefusedError, order.OrderNotFoundError) as error:
        return fail(output, str(error))
    except OSError as error:
        return fail(output, f"{error.filename or 'a file'}: {error.strerror or error}")
    except KeyboardInterrupt:
        return fail(output, "stopped; run it again to go on", status=130)


def fail(output: Console, message: str, *, status: int = 1) -> int:
    """Say in one line why nothing more happens, on standard error."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"doorstep: {clean(message)}", markup=False)
    output.file.flush()
    return status


async def show_order(where: Stack, name: str, output: Console) -> int:
    """Print one order's story; 0 when there is one."""
    async with Client(where, patience=30.0) as client:
        await client.check_answers()
        view, events = await order.load(client, name)
    output.print(order.render(view, events))
    return 0


async def play_demo(where: Stack, output: Console) -> int:
    """The sample on the stack of a data folder."""
    if where.file is None:
        raise StackNotFoundError("the demo needs the keys of a local stack: name its folder with --data")
    content = json.loads(where.file.read_bytes())
    return await run_demo(content, live=output.is_terminal, stack_file=where.file, console=output)


async def import_files(
    where: Stack,
    files: Sequence[Path],
    output: Console,
    *,
    concurrency: int,
    wait_seconds: float | None,
) -> int:
    """Import *files*, follow their orders when *wait_seconds* is given; 0 when nothing failed."""
    counted = survey(files)
    started = time.monotonic()
    async with Client(where, connections=concurrency) as client:
        await client.check_answers()
        watch = Watch(client=client)
        with BarProgress(output) if output.is_terminal else LineProgress(output) as progress:
            on_order = None if wait_seconds is None else watch.add
            work = Import(client, concurrency=concurrency, progress=progress, on_order=on_order)
            try:
                report = await work.run(files, counted)
            except BaseException:
                print_failures(output, work.report.failures, work.report.failed)
                raise
        waited_for = wait_seconds if watch.orders else None
        finished = waited_for is None or await _wait(watch, output, timeout=waited_for, started=started)
    return _conclude(report, watch, counted, finished, output)


def _conclude(report: Report, watch: Watch, counted: Survey, finished: bool, output: Console) -> int:
    """Say what became of every row and order; the exit status."""
    wrong = watch.wrong()
    print_failures(output, report.failures, report.failed)
    print_wrong(output, wrong)
    for line in summary(report, counted):
        output.print(line, markup=False)
    if watch.orders and report.orders_began_at is not None:
        took = time.monotonic() - report.orders_began_at
        over = sum(order.over for order in watch.orders.values())
        head = f"{over} of {len(watch.orders)} orders at their end"
        output.print(f"{head}, {took:.1f} s after the first was sent ({over / took:.1f}/s)")
        output.print("every order ended as expected" if not wrong else f"{len(wrong)} orders did not end as expected")
    return 0 if finished and not report.failed and not wrong else 1


async def _wait(watch: Watch, output: Console, *, timeout: float, started: float) -> bool:
    printed_at, printed = 0.0, ""

    async def say(changed: Sequence[Watched]) -> None:
        nonlocal printed_at, printed
        now = time.monotonic()
        board = board_of(watch, title="", expected_total=len(watch.orders), events=(), phase="", seconds=now - started)
        line = summary_line(board)
        news = line.partition("|")[2]
        if news != printed and (now - printed_at >= WAIT_LINE_EVERY or not watch.open_ids):
            output.print(line, markup=False)
            printed_at, printed = now, news

    finished = await follow(watch, more_to_come=lambda: False, timeout=timeout, after_poll=say)
    if not finished:
        output.print(f"gave up waiting: nothing changed for {timeout:.0f} s")
    return finished


def summary(report: Report, counted: Survey) -> list[str]:
    """What became of the rows, one line per kind."""
    lines = []
    for kind in Kind:
        if total := counted.total(kind):
            new, before = report.created[kind], report.already[kind]
            was = "" if kind in {Kind.LOCATION, Kind.PRODUCT} else f", {before} there before"
            word = {Kind.STOCK: "booked", Kind.ORDER: "accepted"}.get(kind, "stored")
            lines.append(f"{kind.value}: {new} {word}{was}, {total - new - before} failed")
    lines.append(f"{report.seconds:.1f} s, {report.failed} lines failed")
    return lines


def find_stack(data: Path | None, api: str | None) -> Stack:
    """The stack that a command's options name.

    Raises:
        StackNotFoundError: none is there.
    """
    return stack.find(data=data, api=api)
