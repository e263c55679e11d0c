"""`registerbro demo`, `serve` and `simulate`: the commands that start processes and stay until these end."""

import os
import sys
from typing import Annotated

import typer

from cli.process import fail


def demo(
    once: Annotated[bool, typer.Option("--once", help="End by itself after the outage has been shown.")] = False,  # noqa: FBT002
) -> None:
    """Start everything on this machine, and watch a register fail and recover."""
    from demo import show  # noqa: PLC0415 - the other commands need none of it

    raise typer.Exit(show.main(once=once))


def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 8000,
) -> None:
    """Serve the HTTP API for portals, until the process is asked to end."""
    from cli.session import open_settings  # noqa: PLC0415 - `simulate` needs no settings
    from config.settings import SettingsError  # noqa: PLC0415

    chosen = open_settings()
    from portal import server  # noqa: PLC0415 - only once the settings are known to be good

    try:
        server.run(chosen, host, port)
    except SettingsError as error:
        fail(str(error))


def simulate(context: typer.Context) -> None:
    """Run the upstreams' simulators, until the process is asked to end; `--help` lists their options."""
    # A process of its own, because no shipped room may import the simulators.
    os.execv(sys.executable, [sys.executable, "-m", "simulators", *context.args])  # noqa: S606 - no shell is meant
