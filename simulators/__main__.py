"""`python -m simulators [--host H] [--port NAME=N …] [--events-after S]`: serves all upstreams until told to stop."""

import argparse
import asyncio
import json
import signal
import sys

from config.settings import UPSTREAMS
from simulators.simulation import CONTROL, Servers


def _port(text: str) -> tuple[str, int]:
    name, separator, number = text.partition("=")
    if not separator or name not in {*UPSTREAMS, CONTROL} or not number.isdecimal() or int(number) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=N with one of {', '.join((*UPSTREAMS, CONTROL))}")
    return name, int(number)


async def _serve(host: str, ports: dict[str, int], events_after: float) -> int:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    servers = Servers(host, ports, events_after)
    try:
        await servers.start()
    except OSError as error:
        print(f"simulators: cannot listen: {error.strerror or error}", file=sys.stderr)
        return 1
    print(json.dumps(servers.urls), flush=True)
    await stopped.wait()
    await servers.stop()
    return 0


def main() -> int:
    """Parses the command line and serves. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="simulators", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=_port, action="extend", nargs="+", default=[], metavar="NAME=N")
    parser.add_argument(
        "--events-after", type=float, default=0.0, metavar="S", help="seconds from a subscription to its events"
    )
    arguments = parser.parse_args()
    return asyncio.run(_serve(arguments.host, dict(arguments.port), arguments.events_after))


if __name__ == "__main__":
    sys.exit(main())
