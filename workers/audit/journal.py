"""How a process writes the audit log: what many coroutines ask for at the same time goes to the disk together.

Nothing here blocks the event loop: a thread of the journal's own writes and waits for the disk, one batch after the
other, and what comes meanwhile is the next batch.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import structlog

from config.settings import PREFIX, Settings, SettingsError
from workers import metrics, trace
from workers.audit.chain import Chain, expired, files_in, remove
from workers.audit.heads import Heads
from workers.audit.record import Position, new_id, now, told
from workers.cache.leases import Wish
from workers.connections import REDIS_DOWN
from workers.resilience.errors import NotAudited

log = structlog.get_logger()

T = TypeVar("T")
Facts = Mapping[str, Any]

WRITE_WITHIN = timedelta(seconds=3)
"""How long a look-up waits for the disk: one that takes longer is no disk to rely on."""
ANCHOR_EVERY = timedelta(seconds=1)
"""How often the ledger is told where the chain has come to: what is cut off of its end within that does not show."""

TIDY_EVERY = timedelta(hours=1)


class AuditNotWritten(Exception):
    """The audit log cannot be written, so what was to be written there must not be done. The message says why."""


class Action(StrEnum):
    """What operators do that is on record."""

    BREAKER = "breaker"
    RELEASE_CITIZEN = "release_citizen"
    REFRESH = "refresh"
    SHOW_PAGE = "show_page"
    SHOW_REPORT = "show_report"
    REPLAY_REPORT = "replay_report"
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
    """Every look-up in the block is about this citizen, on behalf of whom the wish was."""
    token = _about.set(_About(citizen_id, wish))
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


class Journal:
    """The audit log, as one event loop writes it. Its chain is taken at the first record and given back at the end."""

    def __init__(
        self, settings: Settings, heads: Heads, today: Callable[[], date] = lambda: datetime.now(UTC).date()
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
        """The trail of one look-up, about whom the context says."""
        return _LookUp(self, upstream, _about.get())

    @asynccontextmanager
    async def action(
        self, action: Action, by: str, *, user: str = "", target: str = "", citizen_id: str = "", reason: str = ""
    ) -> AsyncIterator[None]:
        """What an operator does in the block is on record before it begins. Raises AuditNotWritten: it must not begin.

        `target` is a report's id, an upstream or a message's tag, and never a CPR number. `by` is the name that the
        operator goes by, and `user` the system's user whom a command's process belongs to; empty of who calls the API.
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
            self.note({"event": "outcome", "id": identity, "outcome": outcome})

    async def write(self, facts: Facts) -> None:
        """Writes one record, which is on the disk when this returns. Raises AuditNotWritten: it may or may not be."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._put(facts, waiter)
        try:
            async with asyncio.timeout(WRITE_WITHIN.total_seconds()):
                await waiter
        except TimeoutError:
            self._lost(error := AuditNotWritten(f"the disk took over {WRITE_WITHIN.total_seconds():.0f} s"))
            raise error from None

    def note(self, facts: Facts) -> None:
        """Has one record written with the next ones; nobody waits for it."""
        self._put(facts, None)

    async def tidy(self) -> None:
        """Removes the files that have been kept long enough, and writes down that it did. Raises none of our errors.

        What is removed is gone for good, so one clock that is set years ahead is not enough for it: a day has come when
        this machine's and the ledger's both say so. The ledger is told first from where on a chain is still kept, so
        that a file which somebody else removes shows.
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
                    # Its own service looks after it, and knows on the ledger from where on it is kept.
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
        """Does that now and every hour, until it is cancelled."""
        while True:
            await self.tidy()
            await asyncio.sleep(TIDY_EVERY.total_seconds())

    async def close(self) -> None:
        """Writes what is left, and gives the chain back."""
        if self._flushing is not None:
            await asyncio.wait([self._flushing])
        await self._flush()
        self._ending.set()
        if self._anchoring is not None:
            # Not cancelled, since that would be in the middle of a command to the ledger.
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
        """Writes batch after batch until nothing is left. What fails is told to who waits, and is not tried again."""
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
        """Takes a chain, unless there is one. Raises OSError and SettingsError."""
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
        """To the disk. Raises OSError."""
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
        """Tells the ledger where the chain has come to. Raises nothing: look-ups do not depend on it."""
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
        """Counts every failure, and tells of the first: until it is mended, nobody is looked up."""
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
    """What is written of one look-up: a record before each of its calls, and one of how it ended."""

    def __init__(self, journal: Journal, upstream: str, who: _About | None) -> None:
        self._journal = journal
        self._upstream = upstream
        self._who = who
        self._id = new_id()
        self._outcomes: list[str] = []

    async def call(self, request_id: str, trace_id: str) -> None:
        """Before each call. Raises NotAudited."""
        if self._who is None:
            log.critical("look_up_about_nobody", upstream=self._upstream)
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
        """After each call."""
        self._outcomes.append(outcome)

    def end(self) -> None:
        """After all of them; nothing is written of a look-up that made no call."""
        if self._outcomes:
            earlier = {"earlier": self._outcomes[:-1]} if self._outcomes[1:] else {}
            self._journal.note({"event": "outcome", "id": self._id, "outcome": self._outcomes[-1], **earlier})


def _trace_id() -> str:
    here = trace.current()
    return here.trace_id if here else ""
