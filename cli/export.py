"""`registerbro export`: all stored data of one citizen, as one JSON document (GDPR, articles 15 and 20).

`STORES` lists the places that hold data of a citizen, each with its Redis keys and its reader; docs/cli.md has the
members of the document. `ELSEWHERE` lists what the document does not have, and why.
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

from cli.audit import documented
from cli.fault_reports import facts_of
from cli.process import fail
from cli.session import By, Reason, about_a_citizen, with_services
from config.celery import REGISTERS, SUBSCRIBED
from config.settings import ADMISSIONS
from domain.cpr import Cpr
from domain.hidden_characters import to_json
from registerbro.audit_log import Action, concerning, usable
from registerbro.fault_reports.stored_form import CLOCK, rate_key
from registerbro.services import Services
from registerbro.storage.keys import (
    ACTIVE_KEY,
    LIMITS_CLOCK_KEY,
    banner_key,
    booked_key,
    due_key,
    lease_key,
    limit_key,
    running_key,
    standing_key,
    taken_key,
    timetable_clock_key,
    wanted_key,
)
from registerbro.storage.sealing.sealer import Unreadable
from registerbro.terminal import remark, say_json

FORMAT = "registerbro-export-1"
MODE = 0o600

Document = dict[str, Any]
Read = Callable[[Services, str], AsyncIterator[Document]]


@dataclass(frozen=True, slots=True)
class Store:
    """One place that holds data of a citizen."""

    name: str
    """The member of the document."""
    server: str
    """The Redis: broker, ledger or cache."""
    keys: tuple[str, ...]
    """Its keys, as patterns of fnmatch; where a key has no citizen's id, a member, a field or a value has."""
    read: Read
    """Yields the data there under one id. Raises REDIS_DOWN errors."""
    stays: str = ""
    """Why `registerbro forget` leaves the data; empty where it erases them."""


ELSEWHERE: Mapping[str, str] = {
    "messages in queues and dead letters": "an id in a message, for minutes, or until an operator discards the letter "
    "(registerbro queue dead); after `forget` nothing is done with it",
    "the memory of the portal": "the token of who is signed in, until it expires or the process ends",
    "log lines": "ids, in files of the installation's own, for as long as it keeps them",
    "employers' names": "kept by company, and not of whom they were looked up for; the citizen's are in `entries`",
    "who discarded a report": "the report's id, which leads to nobody once the report is gone; the audit log has it",
}
"""Data of a citizen outside the stores: where they are, what they hold, and why they are not exported."""


def export(
    output: Annotated[Path | None, typer.Option(help="A new file for it, readable by you alone; else stdout.")] = None,
    reason: Reason = "",
    by: By = "",
) -> None:
    """Print all that is kept of a citizen as one JSON document. The CPR number is read from standard input."""
    who, cpr, settings = about_a_citizen(by)

    async def run(services: Services) -> Document:
        ids = services.citizens.ids_of(cpr)
        async with who.acts(services, Action.EXPORT, citizen_id=ids[0], reason=reason):
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
    """The document: all data under every id that the peppers derive from the number. Raises REDIS_DOWN errors."""
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


async def _standing(services: Services, who: str) -> AsyncIterator[Document]:
    if await services.cache.exists(standing_key(who)):
        known = await services.citizens.recall_with_standing(who)
        citizen = known.citizen if known else None
        yield {
            "contact_groups": sorted(citizen.contact_groups) if citizen else None,
            "education_order": citizen.education_order if citizen else None,
        }


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
    box = services.outbox
    for report_id in dict.fromkeys(await box.written_by([who])):
        if (record := await box.record(report_id)) is None:
            continue
        try:
            content, answer = await box.contents(report_id)
            opens = True
        except Unreadable:
            # The keys that sealed the text are gone; the facts beside it are the citizen's all the same.
            content, answer, opens = None, None, False
        yield {
            "report": facts_of(record),
            "opens": opens,
            "text": content.text if content else None,
            "page": content.page if content else None,
            "error_code": content.error_code if content else None,
            "meeting_offer": content.meeting_offer if content else None,
            "meeting": content.meeting if content else None,
            "vendors_answer": answer,
        }


async def _handed_in(services: Services, who: str) -> AsyncIterator[Document]:
    for report, at in await _by_steady_clock(services.ledger.redis, rate_key(who), CLOCK):
        yield {"report": report, "at": at}


async def _banner(services: Services, who: str) -> AsyncIterator[Document]:
    if await services.ledger.redis.exists(banner_key(who)):
        yield {"dismissed": True}


async def _quarantine(services: Services, who: str) -> AsyncIterator[Document]:
    for one in await services.quarantine.entries(ADMISSIONS):
        if one.citizen_id == who:
            yield {"upstream": one.upstream, "since": _iso(one.since)}


async def _subscriptions(services: Services, who: str) -> AsyncIterator[Document]:
    for register in SUBSCRIBED:
        if (found := await services.subscriptions.record(register, who)) is not None:
            yield {
                "register": register,
                "state": str(found.state),
                "at": _iso(found.at),
                "to_be_cancelled": found.to_be_cancelled,
            }


async def _contact_groups(services: Services, who: str) -> AsyncIterator[Document]:
    if (kept := await services.contact_groups.record(who)) is not None:
        periods = (
            None
            if kept.history is None
            else [
                {
                    "group": one.group,
                    "start": one.start.isoformat(),
                    "end": one.end.isoformat() if one.end else None,
                    "seen_on": one.seen_on.isoformat(),
                }
                for one in kept.history.periods
            ]
        )
        yield {"periods": periods, "kept_until": _iso(kept.kept_until)}


async def _timetable(services: Services, who: str) -> AsyncIterator[Document]:
    if (until := await services.coordination.zscore(ACTIVE_KEY, who)) is not None:
        yield {"what": "active", "register": None, "at": _iso(_moment(until))}
    for register in REGISTERS:
        for what, key in (("due", due_key), ("taken", taken_key), ("running", running_key)):
            if (score := await services.coordination.zscore(key(register), who)) is not None:
                at = _iso(_moment(score - await _ahead(services.coordination, timetable_clock_key(register))))
                yield {"what": what, "register": register, "at": at}


async def _leases(services: Services, who: str) -> AsyncIterator[Document]:
    for register in REGISTERS:
        fields = await services.coordination.hgetall(lease_key(register, who))
        until = await services.coordination.zscore(wanted_key(register), who)
        if fields or until is not None:
            ahead = await _ahead(services.coordination, timetable_clock_key(register))
            yield {
                "register": register,
                "until": None if until is None else _iso(_moment(until - ahead)),
                **{name: _text(fields.get(name.encode(), b"")) for name in ("behalf", "purpose", "by")},
            }


async def _counted(services: Services, who: str) -> AsyncIterator[Document]:
    from portal.api import citizen_limits  # noqa: PLC0415 - the other commands do without FastAPI

    for what in citizen_limits.COUNTED:
        for _, at in await _by_steady_clock(services.coordination, limit_key(what, who), LIMITS_CLOCK_KEY):
            yield {"what": what, "at": at}


STORES = (
    Store("citizen", "cache", ("citizen:{*}",), _citizen),
    Store("standing", "cache", ("standing:{*}",), _standing),
    Store("entries", "cache", ("entry:{*}:*",), _entries),
    Store("bookings", "cache", ("booked:{*}",), _booked),
    Store("fault_reports", "ledger", ("{reports}:report:*",), _fault_reports),
    Store("reports_handed_in", "ledger", ("{reports}:rate:*",), _handed_in, stays="for an hour, to count by"),
    Store("banner", "ledger", ("banner:{*}",), _banner),
    Store("quarantine", "ledger", ("quarantine:*",), _quarantine),
    Store(
        "subscriptions",
        "ledger",
        ("subscription:{*}:*", "subscriptions:due:{*}", "subscriptions:ending:{*}"),
        _subscriptions,
        stays="until the register has cancelled it, for which its number is needed",
    ),
    Store("contact_groups", "ledger", ("contact_groups:{visitering}:*",), _contact_groups),
    Store("schedule", "broker", ("timetable:*",), _timetable),
    Store("refreshes_wanted", "broker", ("lease:*", "wanted:*"), _leases),
    Store("requests_counted", "broker", ("limits:*",), _counted, stays="for two minutes, to count by"),
)
"""The places in Redis that hold data of a citizen."""


async def _by_steady_clock(redis: Redis, key: str, clock: str) -> Sequence[tuple[str, str | None]]:
    """The members of a sorted set, each with the moment of its score by that clock."""
    ahead = await _ahead(redis, clock)
    found: list[tuple[bytes, float]] = await redis.zrange(key, 0, -1, withscores=True)  # type: ignore[assignment]
    return [(_text(member), _iso(_moment(score - ahead))) for member, score in found]


async def _ahead(redis: Redis, clock: str) -> float:
    """Milliseconds by which a steady clock is ahead of the server's own."""
    ahead: Awaitable[bytes | None] = redis.hget(clock, "ahead")  # type: ignore[assignment]
    return float(await ahead or 0)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _moment(milliseconds: float) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="milliseconds") if moment else None


def _new(path: Path) -> int:
    """Creates a file that its owner alone can read. Ends the command in one line where it exists or cannot be made."""
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE)
    except OSError as error:
        fail(f"{path}: cannot be written: {error.strerror}")
