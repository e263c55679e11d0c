"""No queue at all: for each line on its standard input, a number, so many fetches, and a line when they are done."""

import asyncio
import sys
from collections.abc import Iterator

from bench.peers.aio import Fetcher
from bench.peers.work import AT_ONCE
from bench.people import numbers


async def _work(fetcher: Fetcher, rest: Iterator[str]) -> None:
    for cpr in rest:
        await fetcher.fetch(cpr)


async def main() -> None:
    """Reads, fetches and tells, until its input ends."""
    fetcher = Fetcher()
    while line := await asyncio.to_thread(sys.stdin.readline):
        rest = iter(numbers(int(line)))
        await asyncio.gather(*(_work(fetcher, rest) for _ in range(AT_ONCE)))
        print("done", flush=True)
    await fetcher.close()


if __name__ == "__main__":
    asyncio.run(main())
