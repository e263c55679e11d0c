"""The portal's client of the HTTP API, and of nothing else; the one module of the pages that knows of HTTP.

Exception
├── ApiUnavailable   no answer in time, or none that makes sense: the page goes on without it
│   └── ApiClosing   its server ends before all was told
└── ApiRefused       a problem (RFC 9457) that the page has a word for
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal, Self, TypeVar
from urllib.parse import urlencode

import httpx
import structlog
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from workers.domain.months import Month
from workers.domain.overview import SECTIONS, Item, Section

log = structlog.get_logger()

Http = httpx.AsyncClient

ANSWER_WITHIN_SECONDS = 0.7
"""For a page, which is promised within a second whatever the API does (§3.1)."""
HAND_IN_WITHIN_SECONDS = 5.0
"""For a fault report: worth waiting for, because the API answers when it is on disk and not before (R9)."""
BOOK_WITHIN_SECONDS = 6.0
"""For a booking, and for its times where somebody waits for them: the API gives the booking system three of them."""
EVENTS_FOR_SECONDS = 120.0
"""For events in all: the API ends a stream when nothing is under way, at most a register's total deadline and 5 s on.
Not for the silence between two of them alone, which anything sent to keep a connection open would end."""
OUTSIDE_TARGET_GROUP = "outside-target-group"

State = Literal["ready", "empty", "pending", "unavailable"]


class ApiUnavailable(Exception):
    """The API did not answer as it should. `reason` is a short constant."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ApiClosing(ApiUnavailable):
    """The API's server ends, and said so."""


class ApiRefused(Exception):
    """The API answered with a problem; `kind` is its stable name, `facts` its other members."""

    def __init__(self, kind: str, facts: Mapping[str, Any]) -> None:
        super().__init__(kind)
        self.kind = kind
        self.facts = facts


@dataclass(frozen=True, slots=True)
class SectionAnswer:
    """What the API says of one section; `items` are whole and of the section's own type. Times know their zone."""

    section: Section
    state: State
    items: tuple[Item, ...] = field(default=(), repr=False)
    fetched_at: datetime | None = None
    stale: bool = False
    retry_after: int | None = None


class _Answer(BaseModel):
    # What the API may add one day is none of the page's business.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


A = TypeVar("A", bound=_Answer)


_RAW: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])


class _Section(_Answer):
    id: str
    state: State
    fetched_at: datetime | None = None
    stale: bool = False
    retry_after: int | None = None
    items: list[dict[str, Any]] = []


class _Overview(_Answer):
    sections: list[dict[str, Any]]


class _Page(_Answer):
    overviews: list[_Overview]


class _Banner(_Answer):
    in_target_group: bool
    visible: bool


class Report(_Answer):
    """What became of a fault report; `case` is the vendor's number, once there is one."""

    id: str
    status: str
    accepted_at: datetime
    case: str | None = None


class Stated(_Answer):
    """How a part of a page stands; what there is of it depends on the part."""

    state: State
    fetched_at: AwareDatetime | None = None
    source: str | None = None
    stale: bool = False
    retry_after: int | None = None

    @property
    def mark(self) -> str:
        """Tells one state from another, and says nothing of the data."""
        return f"{self.state} {self.fetched_at.isoformat() if self.fetched_at else ''} {self.stale:d}"


class Entry(_Answer):
    """What a citizen's calendar holds of one thing: its days, both included. `text` is HTML, as it was agreed upon."""

    id: str
    kind: Literal["joblog", "activity", "absence", "meeting"]
    title: str = Field(repr=False)
    start: date
    end: date | None
    held: bool = False
    text: str | None = Field(default=None, repr=False)

    @model_validator(mode="after")
    def _ends_after_its_start(self) -> Self:
        if self.end is not None and self.end < self.start:
            raise ValueError("it ends before it starts")
        return self


class Deadline(_Answer):
    """The last day on which a meeting of this type can be booked; the API names only those that are to be shown."""

    id: str
    deadline: date
    meeting_type: str


class CalendarAnswer(Stated):
    """A month of a citizen's calendar. What is not `ready` has no entries; what is may have none in this month."""

    month: str
    entries: tuple[Entry, ...] = Field(repr=False)
    deadlines: tuple[Deadline, ...] = Field(repr=False)

    @model_validator(mode="after")
    def _has_entries_only_when_ready(self) -> Self:
        if self.state != "ready" and self.entries:
            raise ValueError("it has entries, and is not ready")
        return self


class JobTitle(_Answer):
    """One line of the history; None is a date that was lost, and of `ended` one that has not come."""

    title: str = Field(repr=False)
    registered: date | None
    ended: date | None


class JobTitlesAnswer(Stated):
    """The history of »Jeg søger job som«."""

    items: tuple[JobTitle, ...] = Field(repr=False)

    @model_validator(mode="after")
    def _has_items_exactly_when_ready(self) -> Self:
        if (self.state == "ready") != bool(self.items):
            raise ValueError("ready without items, or items without being ready")
        return self


class CvStatusAnswer(Stated):
    """Whether the CV can be found (§2.2)."""

    searchable: bool | None = Field(repr=False)

    @model_validator(mode="after")
    def _is_known_exactly_when_ready(self) -> Self:
        if (self.state == "ready") != (self.searchable is not None):
            raise ValueError("ready without an answer, or an answer without being ready")
        return self


class Time(_Answer):
    """A time that is free for a meeting."""

    id: str
    start: AwareDatetime
    end: AwareDatetime
    place: str


class Booking(_Answer):
    """A meeting that was booked."""

    id: str
    start: AwareDatetime
    end: AwareDatetime
    place: str


class _Times(_Answer):
    times: tuple[Time, ...]


def unavailable() -> dict[str, SectionAnswer]:
    """The page when nothing can be had: every section is there, and none has data (R8)."""
    return {section.id: SectionAnswer(section, "unavailable") for section in SECTIONS}


class Api:
    """Calls the API for whoever a token is of. Raises ApiUnavailable and ApiRefused, unless a method says otherwise."""

    def __init__(self, url: str, http: Http | None = None) -> None:
        self._url = url.rstrip("/")
        # Every page that waits for its sections holds a connection, so their number is not limited here.
        self._http = http or httpx.AsyncClient(
            trust_env=False, limits=httpx.Limits(max_connections=None, max_keepalive_connections=20)
        )

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def overview(self, token: str) -> dict[str, SectionAnswer]:
        """Every section of the page by its id, in the page's order; `unavailable` is what cannot be had.

        Raises ApiRefused for a citizen outside the target group, and nothing else.
        """
        try:
            page = _parsed(_Page, await self._call("GET", "/v1/overview", token))
        except ApiUnavailable as error:
            log.warning("page_without_api", reason=error.reason)
            return unavailable()
        except ApiRefused as error:
            if error.kind == OUTSIDE_TARGET_GROUP:
                raise
            log.error("page_without_api", reason=error.kind)
            return unavailable()
        answered = {one.get("id"): one for overview in page.overviews for one in overview.sections}
        return {section.id: _section(section, answered.get(section.id)) for section in SECTIONS}

    async def refresh(self, token: str) -> None:
        """Asks for every register to be brought up to date."""
        await self._call("POST", "/v1/overview/refresh", token)

    @asynccontextmanager
    async def events(self, token: str) -> AsyncIterator[AsyncIterator[SectionAnswer]]:
        """The page's sections as they land or change; ends when the API says that no more will come.

        A stream that ends before raises ApiUnavailable, as one does that goes on after EVENTS_FOR_SECONDS.
        """
        request = self._http.build_request(
            "GET",
            f"{self._url}/v1/overview/events",
            headers=_authorised(token),
            timeout=httpx.Timeout(ANSWER_WITHIN_SECONDS, read=EVENTS_FOR_SECONDS),
        )
        try:
            async with asyncio.timeout(ANSWER_WITHIN_SECONDS) as limit:
                response = await self._http.send(request, stream=True)
                try:
                    if response.status_code != httpx.codes.OK:
                        await response.aread()
                        raise _refusal(response)
                    limit.reschedule(asyncio.get_running_loop().time() + EVENTS_FOR_SECONDS)
                    yield _events(response)
                finally:
                    await response.aclose()
        except TimeoutError:
            raise ApiUnavailable("timeout") from None
        except httpx.HTTPError as error:
            raise ApiUnavailable(type(error).__name__) from None

    async def banner_visible(self, token: str) -> bool:
        """Whether the front page shows the banner."""
        banner = _parsed(_Banner, await self._call("GET", "/v1/banner", token))
        return banner.in_target_group and banner.visible

    async def dismiss_banner(self, token: str) -> None:
        """Hides the banner for good."""
        await self._call("PUT", "/v1/banner/dismissed", token)

    async def hand_in(self, token: str, text: str, key: str, *, page: str | None, error_code: str | None) -> str:
        """Hands in a fault report; its number. The same key gives the same report."""
        body = {"text": text, "page": page, "error_code": error_code}
        answer = await self._call(
            "POST",
            "/v1/fault-reports",
            token,
            within=HAND_IN_WITHIN_SECONDS,
            headers={"Idempotency-Key": key},
            json={name: value for name, value in body.items() if value is not None},
        )
        return _parsed(Report, answer).id

    async def report(self, token: str, number: str) -> Report:
        """What became of a fault report of this citizen's."""
        return _parsed(Report, await self._call("GET", f"/v1/fault-reports/{number}", token))

    async def calendar(self, token: str, month: Month) -> CalendarAnswer:
        """The weeks of a month; `unavailable` when they cannot be had. Raises nothing."""
        lacking = CalendarAnswer(month=str(month), state="unavailable", entries=(), deadlines=())
        answer = await self._stated(CalendarAnswer, f"/v1/calendar?month={month}", token, lacking)
        if answer.month != str(month):
            log.error("part_without_sense", part="calendar")
            return lacking
        return answer

    async def job_titles(self, token: str) -> JobTitlesAnswer:
        """The history of »Jeg søger job som«; `unavailable` when it cannot be had. Raises nothing."""
        return await self._stated(
            JobTitlesAnswer, "/v1/job-titles", token, JobTitlesAnswer(state="unavailable", items=())
        )

    async def cv_status(self, token: str) -> CvStatusAnswer:
        """Whether the CV can be found; `unavailable` when that cannot be had. Raises nothing."""
        return await self._stated(
            CvStatusAnswer, "/v1/cv-status", token, CvStatusAnswer(state="unavailable", searchable=None)
        )

    async def booking_times(
        self, token: str, deadline: str, *, within: float = ANSWER_WITHIN_SECONDS
    ) -> tuple[Time, ...]:
        """The times that are free for the meeting of a deadline."""
        path = f"/v1/booking/times?{urlencode({'deadline': deadline})}"
        return _parsed(_Times, await self._call("GET", path, token, within=within)).times

    async def book(self, token: str, key: str, *, deadline: str, time: str) -> Booking:
        """Books a time. The same key gives the same booking."""
        answer = await self._call(
            "POST",
            "/v1/booking/bookings",
            token,
            within=BOOK_WITHIN_SECONDS,
            headers={"Idempotency-Key": key},
            json={"deadline": deadline, "time": time},
        )
        return _parsed(Booking, answer)

    async def _stated(self, model: type[A], path: str, token: str, lacking: A) -> A:
        """What the API says of one part, with its state; `lacking` whatever is wrong: no failure is »no data« (R8)."""
        try:
            return _parsed(model, await self._call("GET", path, token))
        except ApiUnavailable as error:
            log.warning("part_without_api", part=model.__name__, reason=error.reason)
        except ApiRefused as error:
            log.error("part_without_api", part=model.__name__, reason=error.kind)
        return lacking

    async def _call(
        self,
        method: str,
        path: str,
        token: str,
        *,
        within: float = ANSWER_WITHIN_SECONDS,
        headers: Mapping[str, str] | None = None,
        json: Mapping[str, Any] | None = None,
    ) -> httpx.Response:
        try:
            # httpx's own time-outs are for each step; the page needs one for all of them.
            async with asyncio.timeout(within):
                response = await self._http.request(
                    method,
                    self._url + path,
                    headers={**_authorised(token), **(headers or {})},
                    json=json,
                    timeout=within,
                    follow_redirects=False,
                )
        except TimeoutError:
            raise ApiUnavailable("timeout") from None
        except httpx.HTTPError as error:
            raise ApiUnavailable(type(error).__name__) from None
        if not response.is_success:
            raise _refusal(response)
        return response


def _authorised(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _refusal(response: httpx.Response) -> ApiUnavailable | ApiRefused:
    try:
        facts = response.json()
    except (ValueError, RecursionError):
        facts = None
    if isinstance(facts, dict) and isinstance(facts.get("type"), str):
        return ApiRefused(facts["type"], facts)
    return ApiUnavailable(f"status_{response.status_code}")


def _parsed(model: type[A], response: httpx.Response) -> A:
    try:
        return model.model_validate_json(response.content)
    except ValidationError:
        raise ApiUnavailable("invalid_answer") from None


def _section(section: Section, answered: Mapping[str, Any] | None) -> SectionAnswer:
    """One section; one that is missing or makes no sense is `unavailable`, and leaves the others alone."""
    try:
        said = _Section.model_validate(answered)
        items = tuple(section.item.model_validate(item, extra="ignore") for item in said.items)
    except ValidationError:
        log.error("section_without_sense", section=section.id)
        return SectionAnswer(section, "unavailable")
    if (said.state == "ready") != bool(items):
        # Ready without data would look like »no data«, which nobody has said.
        log.error("section_without_sense", section=section.id)
        return SectionAnswer(section, "unavailable")
    return SectionAnswer(section, said.state, items, said.fetched_at, said.stale, said.retry_after)


async def _events(response: httpx.Response) -> AsyncIterator[SectionAnswer]:
    """Reads text/event-stream as far as the API uses it: an event has one line of data."""
    name, data = "", ""
    async for line in response.aiter_lines():
        if line.startswith("event:"):
            name = line.removeprefix("event:").strip()
        elif line.startswith("data:"):
            data = line.removeprefix("data:").strip()
        elif not line:
            if name == "settled":
                return
            if name == "closing":
                raise ApiClosing("closing")
            if name == "section" and (found := _section_event(data)) is not None:
                yield found
            name, data = "", ""
    raise ApiUnavailable("stream_ended")


def _section_event(data: str) -> SectionAnswer | None:
    try:
        answered = _RAW.validate_json(data)
    except ValidationError:
        return None
    return next((_section(section, answered) for section in SECTIONS if section.id == answered.get("id")), None)
