"""Page reader: assembles a citizen's page from the cache, at once and whatever has failed; never waits for a worker."""

import asyncio
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import structlog
from pydantic import BaseModel, ConfigDict, Field

from config.settings import Settings
from domain.cpr import Cpr
from domain.overview import OVERVIEWS, REGISTERS, SECTIONS, UNAVAILABLE_TEXT, Section, sections_of
from registerbro.storage.cache.citizens import Citizens
from registerbro.storage.cache.entries import Entries, Entry
from registerbro.storage.redis_client import ANSWER_WITHIN, REDIS_DOWN, connect
from registerbro.storage.sealing.keyring import Keyring
from registerbro.telemetry import metrics

log = structlog.get_logger()


class SectionState(StrEnum):
    """State of a section."""

    READY = "ready"
    EMPTY = "empty"
    """There are no data: the section is hidden (R8)."""
    PENDING = "pending"
    """Being fetched, and nothing usable is kept yet."""
    UNAVAILABLE = "unavailable"
    """The data cannot be had now: the text of R8 is shown."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class SectionView(_Frozen):
    """One section of the page. Times are UTC; `retry_after` is in seconds."""

    id: str
    register_: str = Field(serialization_alias="register")
    state: SectionState
    source: str
    fetched_at: datetime | None = None
    stale: bool = False
    retry_after: int | None = None
    message: str | None = None
    items: list[dict[str, Any]] = []


class OverviewView(_Frozen):
    """One of the page's three overviews."""

    id: str
    sections: list[SectionView]


class Page(_Frozen):
    """»Oplysninger om dig«: every section, in the page's order. `complete` when none is pending."""

    complete: bool
    generated_at: datetime
    overviews: list[OverviewView]
    due: tuple[str, ...] = Field(exclude=True)
    """Registers of which a refresh is due: not fresh, none under way, and none that failed a moment ago."""
    under_way: bool = Field(exclude=True)
    """Whether any register is being fetched, also behind data that are shown meanwhile."""
    readable: bool = Field(exclude=True)
    """Whether the cache could be read; if not, every section is `unavailable`."""

    def sections(self) -> list[SectionView]:
        """The sections of all overviews."""
        return [section for overview in self.overviews for section in overview.sections]

    def json_text(self) -> str:
        """The answer of `GET /v1/overview`."""
        return self.model_dump_json(by_alias=True)


@dataclass(frozen=True, slots=True)
class Sections:
    """Sections of some registers by id, and the registers of which a refresh is due."""

    by_id: Mapping[str, SectionView]
    due: tuple[str, ...]


class Reader:
    """Assembles pages from the cache. Open it within the event loop that uses it, and close it there."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._redis = connect(settings.cache_url.get_secret_value(), timeout=ANSWER_WITHIN)
        keyring = Keyring(settings)
        self._entries = Entries(self._redis, keyring.sealer)
        self._citizens = Citizens(self._redis, keyring.sealer, keyring.peppers, settings.citizens_kept_for)

    async def close(self) -> None:
        """Closes the connections."""
        await self._redis.aclose()

    async def read_page(self, cpr: Cpr) -> Page:
        """Reads one citizen's page from the cache. Raises nothing: what cannot be read is `unavailable`."""
        return self._assembled(await self._read(cpr, REGISTERS))

    async def read_sections(self, cpr: Cpr, *registers: str) -> Sections:
        """Reads the sections of some registers from the cache, in one round trip.

        Raises nothing: what cannot be read is `unavailable`.
        """
        entries = await self._read(cpr, registers)
        for name in registers:
            _count(name, entries.get(name))
        views = (self._view(one, entries.get(name)) for name in registers for one in sections_of(name))
        return Sections(
            {view.id: view for view in views}, tuple(name for name in registers if _is_due(entries.get(name)))
        )

    async def _read(self, cpr: Cpr, registers: Iterable[str]) -> Mapping[str, Entry]:
        try:
            async with asyncio.timeout(ANSWER_WITHIN.total_seconds()):
                newest, *before = self._citizens.ids_of(cpr)
                return await self._entries.read(newest, registers, before)
        except REDIS_DOWN as error:
            log.error("cache_not_readable", detail=type(error).__name__)
        except Exception:
            # An unexpected error must read as "cannot be had now", and never as "no data" (R8).
            log.exception("page_defect")
        return {}

    def _assembled(self, entries: Mapping[str, Entry]) -> Page:
        now = datetime.now(UTC)
        for register in REGISTERS:
            _count(register, entries.get(register))
        sections = {section.id: self._view(section, entries.get(section.register)) for section in SECTIONS}
        return Page(
            complete=all(view.state is not SectionState.PENDING for view in sections.values()),
            generated_at=now,
            overviews=[
                OverviewView(
                    id=name, sections=[sections[section.id] for section in SECTIONS if section.overview == name]
                )
                for name in OVERVIEWS
            ],
            under_way=any(entry.pending for entry in entries.values()),
            readable=bool(entries),
            due=tuple(name for name, entry in entries.items() if _is_due(entry)),
        )

    def _view(self, section: Section, entry: Entry | None) -> SectionView:
        common = {"id": section.id, "register_": section.register, "source": section.source}
        items = entry.sections.get(section.id) if entry and entry.sections is not None else None
        if entry is not None and items is not None:
            return SectionView(
                **common,
                state=SectionState.READY if items else SectionState.EMPTY,
                fetched_at=entry.fetched_at,
                stale=not entry.fresh,
                items=items,
            )
        if entry is not None and entry.pending:
            return SectionView(**common, state=SectionState.PENDING)
        retry_after = entry.retry_after if entry else None
        wait = retry_after or self._settings.register(section.register).retry_after
        return SectionView(
            **common,
            state=SectionState.UNAVAILABLE,
            retry_after=max(1, math.ceil(wait.total_seconds())),
            message=UNAVAILABLE_TEXT,
        )


def _is_due(entry: Entry | None) -> bool:
    """Whether a refresh is due: the entry is not fresh, no refresh is under way, and none failed a moment ago."""
    return entry is not None and not (entry.fresh or entry.pending or entry.failure)


def _count(register: str, entry: Entry | None) -> None:
    """Counts the state in which a page found a register's entry, and observes the age of its data."""
    metrics.CACHE_READS.labels(register, _state(entry)).inc()
    if entry is not None and entry.fetched_at is not None:
        metrics.ENTRY_AGE.labels(register).observe((entry.read_at - entry.fetched_at).total_seconds())


def _state(entry: Entry | None) -> str:
    if entry is None:
        return "unreadable"
    if entry.sections is not None:
        return "fresh" if entry.fresh else "stale"
    if entry.pending:
        return "pending"
    return "failed" if entry.failure else "missing"
