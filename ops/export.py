"""`registerbro export`: all that is kept of one citizen, as one JSON document (GDPR, articles 15 and 20).

`STORES` is the list of the places where a citizen is kept, each with its Redis keys and how it is read; docs/cli.md has
the members of the document. `ELSEWHERE` is what is not in it, and why.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from redis.asyncio import Redis

from config.celery import REGISTERS
from config.settings import UPSTREAMS
from config.visible import to_json
from ops.audit import auditable, documented
from ops.console import By, Reason, cpr_from_input, fail, operator
from ops.reports import facts_of
from ops.terminal import remark, say_json
from ops.work import with_services
from portal.banner import banner_key
from portal.booked import booked_key
from workers.audit import Action, concerning, usable
from workers.booking_vendor.outbox import CLOCK, rate_key
from workers.booking_vendor.reports import outbox
from workers.cache.leases import lease_key, wanted_key
from workers.cache.sealing import Unreadable
from workers.cache.timetable import ACTIVE, clock_key, due_key, running_key, taken_key
from workers.domain.cpr import Cpr
from workers.runtime import Services

FORMAT = "registerbro-export-1"
MODE = 0o600

Document = dict[str, Any]
Read = Callable[[Services, str], AsyncIterator[Document]]


@dataclass(frozen=True, slots=True)
class Store:
    """One place where a citizen is kept."""

    name: str
    """The member of the document."""
    server: str
    """The Redis: broker, ledger or cache."""
    keys: tuple[str, ...]
    """Its keys, as patterns of fnmatch; a key without the citizen's id holds it as a member, a field or a value."""
    read: Read
    """What is kept there under one id. Raises REDIS_DOWN errors."""
    stays: str = ""
    """Why `registerbro forget` leaves it; empty where it does not."""


ELSEWHERE: Mapping[str, str] = {
    "messages in queues and dead letters": "an id in a message, for minutes, or until an operator discards the letter "
    "(registerbro queue dead); after `forget` nothing is done with it",
    "the memory of the portal": "the token of who is signed in, until it expires or the process ends",
    "log lines": "ids, in files of the installation's own, for as long as it keeps them",
    "employers' names": "kept by company, and not of whom they were looked up for; the citizen's are in `entries`",
    "who discarded a report": "the report's id, which leads to nobody once the report is gone; the audit log has it",
}
"""What is of a citizen and in no store, by what it is, with what it holds and why it is not exported."""


def export(
    output: Annotated[Path | None, typer.Option(help="A new file for it, readable by you alone; else stdout.")] = None,
    reason: Reason = "",
    by: By = "",
) -> None:
    """Print all that is kept of a citizen as one JSON document. The CPR number is read from standard input."""
    who = operator(by)
    cpr = cpr_from_input()
    settings = auditable()

    async def run(services: Services) -> Document:
        ids = services.citizens.ids_of(cpr)
        async with services.journal.action(Action.EXPORT, who.by, user=who.user, citizen_id=ids[0], reason=reason):
            return await collect(services, cpr)

    file = None if output is None else _new(output)
    try:
        document = with_services(settings, run, "not all can be read, so nothing is exported")
    except BaseException:
        if output is not None:
            output.unlink(missing_ok=True)
        raise
    if file is None:
        say_json(document)
        return
    with os.fdopen(file, "w", encoding="utf-8") as opened:
        opened.write(to_json(document, indent=2) + "\n")
    remark(f"{output}: written; it is the citizen's, so hand it over and keep no copy")


async def collect(services: Services, cpr: Cpr) -> Document:
    """All that is kept of a citizen, under every id that the peppers make of the number. Raises REDIS_DOWN errors."""
    ids = services.citizens.ids_of(cpr)
    stores = {
        store.name: [{"id": who, **found} for who in ids async for found in store.read(services, who)]
        for store in STORES
    }
    log = await asyncio.to_thread(concerning, usable(services.settings), ids)
    return {
        "format": FORMAT,
        "made_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "ids": list(ids),
        **stores,
        "audit_log": [documented(one) for one in log],
        "not_included": dict(ELSEWHERE),
    }


async def _citizen(services: Services, who: str) -> AsyncIterator[Document]:
    key = f"citizen:{{{who}}}"
    left = await services.cache.pttl(key)
    if left > 0:
        cpr = await services.citizens.recall(who)
        until = datetime.now(UTC) + timedelta(milliseconds=left)
        yield {"cpr_number": cpr.digits if cpr else None, "known_until": _iso(until)}


async def _entries(services: Services, who: str) -> AsyncIterator[Document]:
    for register, entry in (await services.entries.read(who, REGISTERS)).items():
        if entry.sections is None and entry.failure is None and not entry.pending:
            continue
        yield {
            "register": register,
            "sections": entry.sections,
            "fetched_at": _iso(entry.fetched_at),
            "fresh_until": _iso(entry.fresh_until),
            "pending": entry.pending,
            "failure": entry.failure,
        }


async def _booked(services: Services, who: str) -> AsyncIterator[Document]:
    found = await services.cache.hgetall(booked_key(who))
    for deadline, at in found.items():
        yield {"deadline": _text(deadline), "booked_at": _iso(_moment(float(at)))}


async def _fault_reports(services: Services, who: str) -> AsyncIterator[Document]:
    box = outbox(services)
    for report_id in dict.fromkeys(await box.written_by([who])):
        if (record := await box.record(report_id)) is None:
            continue
        try:
            content, answer = await box.contents(report_id)
            opens = True
        except Unreadable:
            # The keys that sealed it are gone; what stands beside the text is the citizen's all the same.
            content, answer, opens = None, None, False
        yield {
            "report": facts_of(record),
            "opens": opens,
            "text": content.text if content else None,
            "page": content.page if content else None,
            "error_code": content.error_code if content else None,
            "vendors_answer": answer,
        }


async def _handed_in(services: Services, who: str) -> AsyncIterator[Document]:
    for report, at in await _by_steady_clock(services.ledger.redis, rate_key(who), CLOCK):
        yield {"report": report, "at": at}


async def _banner(services: Services, who: str) -> AsyncIterator[Document]:
    if await services.ledger.redis.exists(banner_key(who)):
        yield {"dismissed": True}


async def _quarantine(services: Services, who: str) -> AsyncIterator[Document]:
    for one in await services.quarantine.entries(UPSTREAMS):
        if one.citizen_id == who:
            yield {"upstream": one.upstream, "since": _iso(one.since)}


async def _timetable(services: Services, who: str) -> AsyncIterator[Document]:
    if (until := await services.coordination.zscore(ACTIVE, who)) is not None:
        yield {"what": "active", "register": None, "at": _iso(_moment(until))}
    for register in REGISTERS:
        for what, key in (("due", due_key), ("taken", taken_key), ("running", running_key)):
            if (score := await services.coordination.zscore(key(register), who)) is not None:
                at = _iso(_moment(score - await _ahead(services.coordination, clock_key(register))))
                yield {"what": what, "register": register, "at": at}


async def _leases(services: Services, who: str) -> AsyncIterator[Document]:
    for register in REGISTERS:
        fields = await services.coordination.hgetall(lease_key(register, who))
        until = await services.coordination.zscore(wanted_key(register), who)
        if fields or until is not None:
            ahead = await _ahead(services.coordination, clock_key(register))
            yield {
                "register": register,
                "until": None if until is None else _iso(_moment(until - ahead)),
                **{name: _text(fields.get(name.encode(), b"")) for name in ("behalf", "purpose", "by")},
            }


async def _counted(services: Services, who: str) -> AsyncIterator[Document]:
    from portal.api import limits  # noqa: PLC0415 - the other commands do without FastAPI

    for what in limits.COUNTED:
        for _, at in await _by_steady_clock(services.coordination, limits.counted_key(what, who), limits.CLOCK_KEY):
            yield {"what": what, "at": at}


STORES = (
    Store("citizen", "cache", ("citizen:{*}",), _citizen),
    Store("entries", "cache", ("entry:{*}:*",), _entries),
    Store("bookings", "cache", ("booked:{*}",), _booked),
    Store("fault_reports", "ledger", ("{reports}:report:*",), _fault_reports),
    Store("reports_handed_in", "ledger", ("{reports}:rate:*",), _handed_in, stays="for an hour, to count by"),
    Store("banner", "ledger", ("banner:{*}",), _banner),
    Store("quarantine", "ledger", ("quarantine:*",), _quarantine),
    Store("schedule", "broker", ("timetable:*",), _timetable),
    Store("refreshes_wanted", "broker", ("lease:*", "wanted:*"), _leases),
    Store("requests_counted", "broker", ("limits:*",), _counted, stays="for two minutes, to count by"),
)
"""Where a citizen is kept in Redis."""


async def _by_steady_clock(redis: Redis, key: str, clock: str) -> Sequence[tuple[str, str | None]]:
    """The members of a sorted set, with the moments that their scores are by that clock."""
    ahead = await _ahead(redis, clock)
    found: list[tuple[bytes, float]] = await redis.zrange(key, 0, -1, withscores=True)  # type: ignore[assignment]
    return [(_text(member), _iso(_moment(score - ahead))) for member, score in found]


async def _ahead(redis: Redis, clock: str) -> float:
    """How many ms a steady clock is ahead of the server's own."""
    ahead: Awaitable[bytes | None] = redis.hget(clock, "ahead")  # type: ignore[assignment]
    return float(await ahead or 0)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _moment(milliseconds: float) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="milliseconds") if moment else None


def _new(path: Path) -> int:
    """A file that was not there, open for writing, and nobody else's. Ends the command in one line if it cannot be."""
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE)
    except OSError as error:
        fail(f"{path}: cannot be written: {error.strerror}")
