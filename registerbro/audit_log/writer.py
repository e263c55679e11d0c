"""Writer of the audit log: records that coroutines write at the same time go to the disk as one batch.

It never blocks the event loop: a thread of its own writes and waits for the disk, batch after batch, and records that
arrive meanwhile are the next batch.

This file is over 350 lines as it is one thing: the state of the chain, of the batch and of the anchor change together,
and the records of look-ups and of actions are its only entrances.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import structlog

from config.settings import PREFIX, Settings, SettingsError
from registerbro.audit_log.anchors import Anchors
from registerbro.audit_log.chain import Chain, expired, files_in, remove
from registerbro.audit_log.record import Position, new_id, now, told
from registerbro.storage.coordination.leases import Purpose, Wish
from registerbro.storage.redis_client import REDIS_DOWN
from registerbro.telemetry import metrics, trace
from registerbro.upstreams.errors import NotAudited

log = structlog.get_logger()

T = TypeVar("T")
Facts = Mapping[str, Any]

WRITE_WITHIN = timedelta(seconds=3)
"""How long a look-up waits for the disk. A slower disk is not reliable."""
ANCHOR_EVERY = timedelta(seconds=1)
"""How often the anchor moves. Lines that are cut off within that time leave no evidence."""

TIDY_EVERY = timedelta(hours=1)


class AuditNotWritten(Exception):
    """The audit log cannot be written, so the action that was to be recorded must not begin. The message says why."""


class Action(StrEnum):
    """Actions of operators that are on record."""

    BREAKER = "breaker"
    RELEASE_CITIZEN = "release_citizen"
    DROP_SUBSCRIPTION = "drop_subscription"
    REFRESH = "refresh"
    CONFORMANCE = "conformance"
    SHOW_PAGE = "show_page"
    SHOW_REPORT = "show_report"
    REPLAY_REPORT = "replay_report"
    SETTLE_REPORT = "settle_report"
    DISCARD_REPORT = "discard_report"
    REPLAY_MESSAGE = "replay_message"
    DISCARD_MESSAGE = "discard_message"
    AUDIT_FOR = "audit_for"
    FORGET = "forget"
    EXPORT = "export"
    RESEAL = "reseal"
    ROTATE_KEY = "rotate_key"
    RECOVER_REPORTS = "recover_reports"


@dataclass(frozen=True, slots=True)
class _About:
    citizen_id: str
    wish: Wish


_about: ContextVar[_About | None] = ContextVar("audit", default=None)


@contextmanager
def about(citizen_id: str, wish: Wish) -> Iterator[None]:
    """Audit context: every look-up in the block is about this citizen, on the behalf that `wish` names."""
    token = _about.set(_About(citizen_id, wish))
    try:
        yield
    finally:
        _about.reset(token)


@contextmanager
def with_purpose(purpose: Purpose) -> Iterator[None]:
    """Audit context: the look-ups in the block have this purpose, and are about the same citizen as those around it."""
    around = _about.get()
    token = _about.set(around and _About(around.citizen_id, replace(around.wish, purpose=purpose)))
    try:
        yield
    finally:
        _about.reset(token)


def usable(settings: Settings) -> Path:
    """The folder of the audit log. Raises SettingsError, which names the setting, when it cannot be written to."""
    directory = settings.audit_dir
    if directory is None:
        raise SettingsError(f"{PREFIX}AUDIT_DIR: is missing")
    if not directory.is_dir():
        raise SettingsError(f"{PREFIX}AUDIT_DIR: {directory} is no folder")
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        raise SettingsError(f"{PREFIX}AUDIT_DIR: {directory} cannot be written to by this user")
    return directory


class AuditWriter:
    """Audit log as one event loop writes it. It takes a chain at the first record, and gives it back at the end."""

    def __init__(
        self, settings: Settings, heads: Anchors, today: Callable[[], date] = lambda: datetime.now(UTC).date()
    ) -> None:
        self._settings = settings
        self._heads = heads
        self._today = today
        self._thread: ThreadPoolExecutor | None = None
        self._chain: Chain | None = None
        self._pending: list[tuple[Facts, asyncio.Future[None] | None]] = []
        self._opening = asyncio.Lock()
        self._ending = asyncio.Event()
        self._flushing: asyncio.Task[None] | None = None
        self._anchoring: asyncio.Task[None] | None = None
        self._anchored = Position()
        self._is_lost = False
        self._is_unanchored = False

    def look_up(self, upstream: str) -> "_LookUp":
        """The records of one look-up of the citizen whom the context names (`about`)."""
        return _LookUp(self, upstream, _about.get())

    @asynccontextmanager
    async def action(
        self, action: Action, by: str, *, user: str = "", target: str = "", citizen_id: str = "", reason: str = ""
    ) -> AsyncIterator[None]:
        """Records an operator's action before the block begins. Raises AuditNotWritten: then the block does not run.

        `target` is a report's id, an upstream or a message's tag, and never a CPR number. `by` is the operator's name,
        and `user` the system's user of a command's process; empty for calls of the API.
        """
        identity = new_id()
        facts = {"event": "action", "action": action.value, "id": identity, "by": told(by), "target": told(target)}
        optional = {"user": told(user), "citizen": citizen_id, "reason": told(reason), "trace": _trace_id()}
        await self.write({**facts, **{name: value for name, value in optional.items() if value}})
        outcome = "done"
        try:
            yield
        except BaseException as error:
            outcome = type(error).__name__
            raise
        finally:
            self.write_later({"event": "outcome", "id": identity, "outcome": outcome})

    async def write(self, facts: Facts) -> None:
        """Writes one record, which is on the disk when this returns. Raises AuditNotWritten when that is unknown."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._put(facts, waiter)
        try:
            async with asyncio.timeout(WRITE_WITHIN.total_seconds()):
                await waiter
        except TimeoutError:
            self._lost(error := AuditNotWritten(f"the disk took over {WRITE_WITHIN.total_seconds():.0f} s"))
            raise error from None

    def write_later(self, facts: Facts) -> None:
        """Adds one record to the next batch, without waiting for it."""
        self._put(facts, None)

    async def tidy(self) -> None:
        """Removes files that were kept long enough, and records that. Raises none of our errors.

        Removal is final, so one clock that is set years ahead must not cause it: a day has come when this machine's
        clock and the ledger's both say so. The floor on the ledger moves first, so that verification shows a file which
        another process removes.
        """
        try:
            before = min(self._today(), await self._heads.today()) - self._settings.audit_kept_for
            await self._open()
            if self._chain is None:
                return
            found = expired(usable(self._settings), before, self._chain.name)
            others = (await self._heads.read()).keys() - (await self._heads.own()).keys()
            while gone := await self._in_thread(next, found, None):
                if gone.chain in others:
                    # Its own service tidies it, and has its floor on the ledger.
                    continue
                if gone.is_all and gone.chain != self._chain.name:
                    await self._heads.forget(gone.chain)
                else:
                    await self._heads.raise_floor(gone.chain, gone.up_to)
                await self.write({
                    "event": "removed", "of": gone.chain, "files": [path.name for path in gone.files],
                    "up_to": gone.up_to.seq, "up_to_hash": gone.up_to.hash,
                })  # fmt: skip
                await self._in_thread(remove, usable(self._settings), gone)
        except (AuditNotWritten, SettingsError, OSError, *REDIS_DOWN) as error:
            log.error("audit_not_tidied", detail=type(error).__name__)

    async def keep_tidy(self) -> None:
        """Runs `tidy` now and every hour, until it is cancelled."""
        while True:
            await self.tidy()
            await asyncio.sleep(TIDY_EVERY.total_seconds())

    async def close(self) -> None:
        """Writes the last batch, and gives the chain back."""
        if self._flushing is not None:
            await asyncio.wait([self._flushing])
        await self._flush()
        self._ending.set()
        if self._anchoring is not None:
            # Not cancelled, since that would interrupt a command to the ledger.
            await asyncio.wait([self._anchoring])
        try:
            if self._chain is not None:
                await self._commit([{"event": "closed", "at": now()}])
                await self._anchor(closed=True)
        except OSError as error:
            self._lost(error)
        await self._drop()
        if self._thread is not None:
            self._thread.shutdown(wait=False)
            self._thread = None

    def _put(self, facts: Facts, waiter: asyncio.Future[None] | None) -> None:
        self._pending.append(({"at": now(), **facts}, waiter))
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.get_running_loop().create_task(self._flush())

    async def _flush(self) -> None:
        """Writes batch after batch until none is left. A failed batch raises in its callers, and is not retried."""
        while self._pending:
            error: AuditNotWritten | None = None
            try:
                await self._open()
            except (OSError, SettingsError) as failure:
                error = self._lost(failure)
            batch, self._pending = self._pending, []
            if error is None:
                try:
                    with metrics.AUDIT_SECONDS.time():
                        await self._commit([facts for facts, _ in batch])
                except OSError as failure:
                    error = self._lost(failure)
                    await self._drop()
                else:
                    self._found(len(batch))
            for _, waiter in batch:
                if waiter is not None and not waiter.done():
                    if error is None:
                        waiter.set_result(None)
                    else:
                        waiter.set_exception(error)

    async def _open(self) -> None:
        """Takes a chain, unless this process has one. Raises OSError and SettingsError."""
        async with self._opening:
            if self._chain is None:
                await self._take_chain()

    async def _take_chain(self) -> None:
        directory = usable(self._settings)
        try:
            here = await self._in_thread(files_in, directory)
            await self._heads.adopt([name for name, files in here.items() if files[0].path.parent == directory])
            heads = await self._heads.own()
        except REDIS_DOWN as error:
            self._not_anchored(error)
            heads = None
        self._chain = await self._in_thread(Chain.take, directory, heads)
        self._anchored = Position()
        begun = {"event": "begun", "at": now(), "host": socket.gethostname(), "pid": os.getpid()}
        try:
            await self._commit([begun])
        except OSError:
            await self._drop()
            raise

    async def _commit(self, records: list[Facts]) -> None:
        """Writes records to the disk. Raises OSError."""
        if self._chain is None:
            raise OSError("there is no chain")
        await self._in_thread(self._chain.append, records, self._today())
        if self._anchoring is None or self._anchoring.done():
            self._anchoring = asyncio.get_running_loop().create_task(self._keep_anchored())

    async def _drop(self) -> None:
        if self._chain is not None:
            chain, self._chain = self._chain, None
            await self._in_thread(chain.give_back)

    async def _keep_anchored(self) -> None:
        while self._chain is not None and self._chain.at != self._anchored and not self._ending.is_set():
            await self._anchor(closed=False)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), ANCHOR_EVERY.total_seconds())

    async def _anchor(self, *, closed: bool) -> None:
        """Moves the chain's anchor. Raises nothing: look-ups do not depend on it."""
        if self._chain is None:
            return
        name, at = self._chain.name, self._chain.at
        try:
            forward = await self._heads.put(name, at, closed=closed)
        except REDIS_DOWN as error:
            self._not_anchored(error)
            return
        self._anchored = at
        if not forward:
            log.critical("audit_chain_behind_ledger", chain=name)
            metrics.AUDIT_FAILURES.labels("anchor").inc()
        elif self._is_unanchored:
            self._is_unanchored = False
            log.info("audit_anchored_again", chain=name)

    def _not_anchored(self, error: BaseException) -> None:
        metrics.AUDIT_FAILURES.labels("anchor").inc()
        if not self._is_unanchored:
            self._is_unanchored = True
            log.error("audit_not_anchored", detail=type(error).__name__)

    def _lost(self, error: Exception) -> AuditNotWritten:
        """Counts every failure, and logs the first: no citizen is looked up until it is mended."""
        detail = error.strerror or str(error) if isinstance(error, OSError) else str(error)
        metrics.AUDIT_FAILURES.labels("write").inc()
        if not self._is_lost:
            self._is_lost = True
            log.critical("audit_not_written", detail=detail)
        return AuditNotWritten(detail)

    def _found(self, records: int) -> None:
        metrics.AUDIT_RECORDS.inc(records)
        if self._is_lost:
            self._is_lost = False
            log.warning("audit_written_again")

    async def _in_thread(self, work: Callable[..., T], *arguments: Any) -> T:  # noqa: ANN401 - whatever work takes
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="audit")
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)


class _LookUp:
    """Records of one look-up: one before each of its calls, and one of its outcome."""

    def __init__(self, journal: AuditWriter, upstream: str, who: _About | None) -> None:
        self._journal = journal
        self._upstream = upstream
        self._who = who
        self._id = new_id()
        self._outcomes: list[str] = []

    async def call(self, request_id: str, trace_id: str) -> None:
        """Records a call, before it is made. Raises NotAudited."""
        if self._who is None:
            log.critical("audit_context_missing", upstream=self._upstream)
            raise NotAudited("it is not known about whom, and on whose behalf")
        wish = self._who.wish
        facts = {
            "event": "call", "id": self._id, "citizen": self._who.citizen_id, "upstream": self._upstream,
            "behalf": wish.behalf.value, "purpose": wish.purpose.value,
            "request": request_id, "trace": trace_id,
        }  # fmt: skip
        try:
            await self._journal.write(facts | ({"by": told(wish.by)} if wish.by else {}))
        except AuditNotWritten as error:
            raise NotAudited(f"the audit log cannot be written: {error}") from None

    def answered(self, outcome: str) -> None:
        """Notes the outcome of a call, for the record at the end."""
        self._outcomes.append(outcome)

    def end(self) -> None:
        """Records the outcome of the look-up, if it made a call."""
        if self._outcomes:
            earlier = {"earlier": self._outcomes[:-1]} if self._outcomes[1:] else {}
            self._journal.write_later({"event": "outcome", "id": self._id, "outcome": self._outcomes[-1], **earlier})


def _trace_id() -> str:
    here = trace.current()
    return here.trace_id if here else ""
