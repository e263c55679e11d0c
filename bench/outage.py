"""How many calls a dead register gets: an outage of ten minutes with 50 refreshes a second, none of which it answers.

In `make bench` time runs twenty times as fast: the outage takes 30 s, 1000 refreshes come each second, and every
time-out, wait and open time is a twentieth of its default. Upstream, scripts, Redis and connections are the real ones,
in one process and without the queue. What does not run faster: the budget of retries counts over ten seconds as ever;
and Redis, which has 50 ms for a decision, has twenty times as long, since this process is asked as often as twenty.
`python -m bench.outage` takes the ten minutes, with a worker and its queue.
"""

import argparse
import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

from bench.harness import Row, Target, contained, installed, services
from bench.people import numbers
from config.settings import AdmissionSettings, SuSettings
from domain.citizen import Citizen
from domain.cpr import Cpr
from registerbro import audit_log, refresh
from registerbro.refresh.request import Reason
from registerbro.storage.coordination.leases import CITIZENS_WISH
from registerbro.upstreams import admission, retry
from registerbro.upstreams.errors import UpstreamError
from workers.su import client as su_client

OUTAGE = timedelta(minutes=10)
REFRESHES_PER_SECOND = 50
FASTER = 20
NAME = "calls to a dead register in an outage of 10 minutes with 50 refreshes/s, of those asked for"


def faster(factor: float) -> dict[str, str]:
    """SU's durations, so many times shorter, as settings."""
    times = {name: getattr(SuSettings(), name) for name in ("attempt_timeout", "total_timeout", "retry_after")}
    limits = {name: getattr(AdmissionSettings(), name) for name in ("window", "slow_call", "open_for", "open_at_most")}
    return {
        **{f"SU__{name.upper()}": f"PT{value.total_seconds() / factor:.3f}S" for name, value in times.items()},
        **{
            f"SU__ADMISSION__{name.upper()}": f"PT{value.total_seconds() / factor:.3f}S"
            for name, value in limits.items()
        },
        "SU__ADMISSION__MAX_IN_FLIGHT": str(AdmissionSettings().max_in_flight),
    }


async def _at_a_rate(per_second: float, seconds: float, ask: Callable[[Cpr], Awaitable[None]]) -> int:
    """Asks so often for so long, each time about another citizen. Returns how often."""
    citizens = numbers(int(per_second * seconds))
    began = time.monotonic()
    asked = 0
    async with asyncio.TaskGroup() as group:
        while asked < len(citizens):
            due = min(len(citizens), int((time.monotonic() - began) * per_second))
            for cpr in citizens[asked:due]:
                group.create_task(ask(Cpr.parse(cpr)))
            asked = due
            await asyncio.sleep(0.005)
    return asked


async def _in_process(seconds: float) -> tuple[int, Counter[str]]:
    """How often was asked, and how that ended."""
    ended: Counter[str] = Counter()
    waits = {name: getattr(retry, name) / FASTER for name in ("FIRST_WAIT_SECONDS", "LONGEST_WAIT_SECONDS")}
    with (
        patch.multiple(retry, **waits),
        patch.object(admission, "REDIS_TIMEOUT", FASTER * admission.REDIS_TIMEOUT),
    ):
        async with services() as ours:
            upstream = ours.upstream("su")

            async def ask(cpr: Cpr) -> None:
                try:
                    with audit_log.about(ours.citizens.id_of(cpr), CITIZENS_WISH):
                        await su_client.fetch(upstream, cpr)
                except UpstreamError as error:
                    ended[error.reason] += 1
                else:
                    ended["answered"] += 1

            return await _at_a_rate(REFRESHES_PER_SECOND * FASTER, seconds, ask), ended


async def _through_the_queue(seconds: float) -> tuple[int, Counter[str]]:
    ended: Counter[str] = Counter()
    async with services() as ours:

        async def ask(cpr: Cpr) -> None:
            citizen, today = Citizen(cpr, frozenset({12}), education_order=True), datetime.now(UTC).date()
            asked = await refresh.request_due(ours, citizen, ["su"], reason=Reason.CITIZEN, today=today)
            ended[asked["su"].state] += 1

        return await _at_a_rate(REFRESHES_PER_SECOND, seconds, ask), ended


def _row(asked: int, calls: int, ended: Counter[str], **details: object) -> Row:
    return Row.alone(
        "outage", NAME, Target("at most", 0.3, "%"), 100 * calls / asked, "%",
        asked_for=asked, calls=calls, ended=dict(ended), **details,
    )  # fmt: skip


def measure(*, quick: bool) -> list[Row]:
    """The outage with time twenty times as fast; left out when it is to be quick, since a shorter one is another."""
    if quick:
        return []
    with installed(faster(FASTER)) as (_, upstream):
        upstream.tell("hang")
        began, seconds = time.monotonic(), OUTAGE.total_seconds() / FASTER
        asked, ended = asyncio.run(_in_process(seconds))
        took = time.monotonic() - began
        return [_row(asked, upstream.calls, ended, time_faster_by=FASTER, took_seconds=round(took, 1))]


def main() -> None:
    """The outage in real time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=OUTAGE.total_seconds() / 60)
    minutes = parser.parse_args().minutes
    with (
        contained(),
        installed({"SU__ADMISSION__MAX_IN_FLIGHT": str(AdmissionSettings().max_in_flight)}) as (here, upstream),
    ):
        upstream.tell("hang")
        here.start_worker("su")
        here.start_beat()
        asked, ended = asyncio.run(_through_the_queue(60 * minutes))
        print(json.dumps(_row(asked, upstream.calls, ended, minutes=minutes).as_json(), indent=2))


if __name__ == "__main__":
    main()
