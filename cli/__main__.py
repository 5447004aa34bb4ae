"""The `doorstep` command: reads the words, hands them to what does the work, leaves with its exit status."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from cli import commands
from cli.stack import KEY_VARIABLE, Stack, StackNotFoundError

Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Data folder of a running stack.", show_default=".doorstep"),
]
Api = Annotated[
    str | None,
    typer.Option("--api", metavar="URL", help=f"Address of an API instead; its key is read from {KEY_VARIABLE}."),
]


def build_app(arguments: Sequence[str]) -> typer.Typer:
    """The commands; `up` is loaded only when *arguments* ask for it, so nothing else waits for it or breaks with it."""
    app = typer.Typer(
        name="doorstep",
        help="An order service on durable workflows: from the basket to the doorstep.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
    )
    if "up" in arguments[:1]:
        from cli.up import up  # here, not above: it loads the whole dev stack

        app.command("up")(up)
    else:
        app.command("up", help="Start everything on this machine, load the sample, watch its orders move.")(_up_later)
    app.command("demo")(demo)
    app.command("import")(import_)
    app.command("order")(order)
    return app


def _up_later() -> None:
    """Stands in the list of commands; `doorstep up` itself never gets here."""


def demo(data: Data = None) -> None:
    """Run the sample on a running stack and follow every order to its end.

    Safe to repeat. The exit status is 0 only if every order ended as the sample's file says.
    """
    output = commands.console()
    raise typer.Exit(commands.run(commands.play_demo(_stack(data, None), output), output))


def import_(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE.jsonl...", help="One JSON object a line, of any kind.", show_default=False),
    ],
    *,
    data: Data = None,
    api: Api = None,
    concurrency: Annotated[
        int, typer.Option("--concurrency", "-c", min=1, max=256, help="Requests in flight at once.")
    ] = 16,
    wait: Annotated[
        bool, typer.Option("--wait", help='Follow the orders to their ends, and compare with "expect" where given.')
    ] = False,
    timeout: Annotated[
        float,
        typer.Option("--timeout", min=1, metavar="SECONDS", help="With --wait: give up when nothing changed so long."),
    ] = 600.0,
) -> None:
    """Import orders, products, locations and stock through the HTTP API.

    A line is told by its fields: an **order** as for POST /v1/orders, with an optional "expect"
    {state, outcome, captured_minor}; a **product** with its sku; a **location** with its location_id;
    **stock** {location_id, sku, quantity}. Locations go first, then products, stock, orders.

    Importing a file again does nothing twice: an order is known by channel, source and order_ref, stock by the file's
    name, the sku and the location. So new goods come in a file of a new name. Bad lines are listed at the end, the good
    ones go on; the exit status is 1 if any failed.
    """
    output = commands.console()
    if missing := [path for path in files if not path.is_file()]:
        raise typer.Exit(commands.fail(output, f"no such file: {', '.join(map(str, missing))}"))
    where = _stack(data, api)
    work = commands.import_files(
        where, list(dict.fromkeys(files)), output, concurrency=concurrency, wait_seconds=timeout if wait else None
    )
    raise typer.Exit(commands.run(work, output))


def order(
    name: Annotated[str, typer.Argument(metavar="ID", help="An order's id (ord_...) or its order_ref.")],
    *,
    data: Data = None,
    api: Api = None,
) -> None:
    """Show one order: where it stands, what it waits for, its lines, money, parcels, decisions and every event."""
    output = commands.console()
    raise typer.Exit(commands.run(commands.show_order(_stack(data, api), name, output), output))


def _stack(data: Path | None, api: str | None) -> Stack:
    try:
        return commands.find_stack(data, api)
    except StackNotFoundError as error:
        raise typer.Exit(commands.fail(commands.console(), str(error))) from None


def main() -> None:
    """Run the command of the process's own words and leave with its status."""
    try:
        build_app(sys.argv[1:])()
        status = 0
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except KeyboardInterrupt:
        status = 130
    leave(status)


def leave(status: int) -> None:
    """End the process with *status*, whatever a loaded SDK would do at the interpreter's exit."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    # The Temporal SDK can crash at interpreter exit after all work succeeded (temporalio/sdk-python#300).
    if "temporalio" in sys.modules:
        os._exit(status)
    sys.exit(status)


if __name__ == "__main__":
    main()
