"""What the protection of a call costs in CPU time: the same call with all of it and with none, turn and turn about.

Both ask the register over the same HTTP client, check whose answer it is, normalise it and store it. The protection is
window, deadline, retry, breaker and limits (both scripts), the looks for an override before and after it is stored, and
sealing. The audit log, which is no protection of the register but is written by each call too, is told apart.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from statistics import median

from bench.harness import Row, Target, installed, services
from bench.people import numbers
from domain.cpr import Cpr
from registerbro import audit_log
from registerbro.services import Services
from registerbro.storage.coordination.leases import CITIZENS_WISH
from registerbro.upstreams import deadline
from registerbro.upstreams.dfdg_protocol import CPR_HEADER, read
from registerbro.upstreams.http_client import HttpClient
from registerbro.upstreams.look_up_log import NoTrail
from registerbro.upstreams.messages import Question
from registerbro.upstreams.pipeline import Upstream
from workers.su import client as su_client
from workers.su import wire
from workers.su.normalise import normalise

AT_ONCE = 25
KEPT_FOR = timedelta(hours=72)

Call = Callable[[Cpr], Awaitable[None]]


class Calls:
    """The three ways in which a citizen's entry is fetched."""

    def __init__(self, ours: Services) -> None:
        self._ours = ours
        self._settings = settings = ours.settings.register("su")
        self._http = HttpClient(ours.settings.base_url("su"), settings, ours.certificates("su"))
        self._audited = ours.upstream("su")
        self._unaudited = Upstream("su", settings, self._http, ours.admission("su"), NoTrail())

    async def bare(self, cpr: Cpr) -> None:
        """None of the protection."""
        question = Question("GET", self._unaudited.path, headers={CPR_HEADER: cpr.digits, "Accept": "application/json"})
        answer = await self._http.send(question, {"x-requestId": "bench"}, 4)
        sections = normalise(read(answer, cpr, wire.SuData), cpr.birth_date).sections
        content = {name: [item.model_dump(mode="json") for item in items] for name, items in sections.items()}
        text = json.dumps(content, ensure_ascii=False)
        await self._ours.cache.set(f"bare:{self._ours.citizens.id_of(cpr)}", text, px=KEPT_FOR)

    async def protected(self, cpr: Cpr) -> None:
        """All of it."""
        await self._protected(self._unaudited, cpr)

    async def audited(self, cpr: Cpr) -> None:
        """All of it, and the audit log."""
        await self._protected(self._audited, cpr)

    async def _protected(self, upstream: Upstream, cpr: Cpr) -> None:
        ours = self._ours
        citizen_id = ours.citizens.id_of(cpr)
        with audit_log.about(citizen_id, CITIZENS_WISH), deadline.within(self._settings.total_timeout):
            fetched = normalise(await su_client.fetch(upstream, cpr), cpr.birth_date)
        await ours.admission("su").check()
        await ours.entries.store(
            citizen_id, "su", fetched.sections, age=timedelta(0), fresh_for=KEPT_FOR, usable_for=KEPT_FOR
        )
        await ours.admission("su").check()

    async def close(self) -> None:
        """Closes what is not the services'."""
        await self._http.close()


async def _cpu(call: Call, citizens: list[Cpr]) -> float:
    """Milliseconds of this process's CPU time per call."""
    rest = iter(citizens)

    async def work() -> None:
        for cpr in rest:
            await call(cpr)

    began = time.process_time()
    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return 1000 * (time.process_time() - began) / len(citizens)


async def _compare(rounds: int, count: int) -> Row:
    citizens = [Cpr.parse(cpr) for cpr in numbers(count)]
    async with services() as ours:
        calls = Calls(ours)
        for call in (calls.bare, calls.protected, calls.audited):
            await _cpu(call, citizens[: count // 4])
        found = [
            (
                await _cpu(calls.protected, citizens),
                await _cpu(calls.bare, citizens),
                await _cpu(calls.audited, citizens),
            )
            for _ in range(rounds)
        ]
        await calls.close()
    pairs = [(protected, bare) for protected, bare, _ in found]
    row = Row.compared(
        "protection", "CPU time of the whole protection of a call, beyond that of the call without it",
        Target("at most", 0.25, "ms"), pairs, "ms", "the same call without it",
        audit_log_ms=round(median(audited - protected for protected, _, audited in found), 3),
        extra_ms=[round(protected - bare, 3) for protected, bare in pairs],
    )  # fmt: skip
    return replace(row, figure=round(median(protected - bare for protected, bare in pairs), 3))


def measure(*, quick: bool) -> list[Row]:
    """The row of the table."""
    with installed() as (_, upstream):
        upstream.tell("median/0.01")
        return [asyncio.run(_compare(*((5, 300) if quick else (9, 800))))]
