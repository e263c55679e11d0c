"""Client of the HTTP API for the reference portal's pages, with a model of each answer; no other module knows HTTP.

Over 350 lines, since it is the pages' whole contract with the API. It raises:

Exception
├── ApiUnavailable   no answer in time, or none that makes sense: the page goes on without it
│   └── ApiClosing   its server ends before all was told
└── ApiRefused       a problem (RFC 9457) that the page has a word for
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal, Self, TypeVar
from urllib.parse import urlencode

import httpx
import structlog
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from domain.calendar_month import Month
from domain.overview import SECTIONS, Item, Section

log = structlog.get_logger()

Http = httpx.AsyncClient

ANSWER_WITHIN_SECONDS = 0.7
"""For a page, which is promised within a second whatever the API does (§3.1)."""
HAND_IN_WITHIN_SECONDS = 5.0
"""For a fault report: worth waiting for, because the API answers when it is on disk and not before (R9)."""
BOOK_WITHIN_SECONDS = 6.0
"""For a booking, and for its times where a citizen waits for them: the API gives the booking system three of them."""
EVENTS_FOR_SECONDS = 120.0
"""For events in all: the API ends a stream when nothing is under way, at most a register's total deadline and 5 s on.
Not for the silence between two of them alone, which anything sent to keep a connection open would end."""
OUTSIDE_TARGET_GROUP = "outside-target-group"

State = Literal["ready", "empty", "pending", "unavailable"]

DEADLINES = "deadlines"
KINDS: Mapping[str, str] = {"meetings": "meeting", "activities": "activity", "absences": "absence", "joblog": "joblog"}
"""Part of the calendar → the kind of its entries."""
CALENDAR_PARTS = (DEADLINES, *KINDS)
"""The parts of the calendar, in the order in which they are named."""


class ApiUnavailable(Exception):
    """The API did not answer as it should. `reason` is a short constant."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ApiClosing(ApiUnavailable):
    """The API's server is shutting down."""


class ApiRefused(Exception):
    """The API answered with a problem; `kind` is its stable name, `facts` its other members."""

    def __init__(self, kind: str, facts: Mapping[str, Any]) -> None:
        super().__init__(kind)
        self.kind = kind
        self.facts = facts


@dataclass(frozen=True, slots=True)
class SectionAnswer:
    """The API's answer for one section; `items` are complete and of the section's own type. Times know their zone."""

    section: Section
    state: State
    items: tuple[Item, ...] = field(default=(), repr=False)
    fetched_at: datetime | None = None
    stale: bool = False
    retry_after: int | None = None


class _Answer(BaseModel):
    # Fields that the API may add one day are ignored.
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


class Banner(_Answer):
    """Whether the page is for a citizen today (R1), and whether its banner is to be shown (§1.1)."""

    in_target_group: bool
    visible: bool


class Report(_Answer):
    """State of a fault report; `case` is the vendor's number, once there is one."""

    id: str
    status: str
    accepted_at: datetime
    case: str | None = None


class Stated(_Answer):
    """State of a part of a page; each part adds its data."""

    state: State
    fetched_at: AwareDatetime | None = None
    source: str | None = None
    stale: bool = False
    retry_after: int | None = None

    @property
    def known(self) -> bool:
        """Whether its data are there, or that there are none."""
        return self.state in {"ready", "empty"}

    @property
    def mark(self) -> str:
        """Tells one state from another, and says nothing of the data."""
        return f"{self.state} {self.fetched_at.isoformat() if self.fetched_at else ''} {self.stale:d}"


class Entry(_Answer):
    """Calendar entry, with both its days included. `text` is HTML, the text that was agreed upon."""

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


class CalendarPart(Stated):
    """State of one part of a month: it is `ready` exactly when the month has something of it."""

    id: str


class CalendarAnswer(_Answer):
    """A month of a citizen's calendar: every part of CALENDAR_PARTS in its order, and what the known ones have.

    Each part is read alone. One that is missing, malformed or at odds with its own entries is `unavailable`, and
    affects no other. An entry of no kind that there is may be of any part: then no part with entries is known.
    """

    month: str
    parts: tuple[CalendarPart, ...]
    entries: tuple[Entry, ...] = Field(repr=False)
    deadlines: tuple[Deadline, ...] = Field(repr=False)

    @property
    def of_deadlines(self) -> CalendarPart:
        """The part that booking needs."""
        return self.parts[CALENDAR_PARTS.index(DEADLINES)]

    @model_validator(mode="before")
    @classmethod
    def _read_each_part_alone(cls, said: Any) -> Any:  # noqa: ANN401 - whatever the API sent
        if not isinstance(said, dict):
            return said
        entries, malformed = _entries(said.get("entries"))
        held: dict[str, Sequence[_Answer]] = {
            part: [one for one in entries if one.kind == kind] for part, kind in KINDS.items()
        }
        try:
            held[DEADLINES] = _DEADLINES.validate_python(said.get("deadlines"))
        except ValidationError:
            held[DEADLINES], malformed = (), malformed | {DEADLINES}
        stated = said.get("parts")
        parts = [
            _unavailable_part(part) if part in malformed else _part(part, stated, there=bool(held[part]))
            for part in CALENDAR_PARTS
        ]
        known = {part.id for part in parts if part.known}
        return {
            "month": said.get("month"),
            "parts": parts,
            "entries": [one for one in entries if one.kind in {KINDS.get(part) for part in known}],
            "deadlines": held[DEADLINES] if DEADLINES in known else (),
        }


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
    """Whether the CV can be found (§2.2); when `ready`, null is »Ukendt«. It is never `empty`."""

    searchable: bool | None = Field(repr=False)

    @model_validator(mode="after")
    def _answers_only_when_ready(self) -> Self:
        if self.state == "empty" or (self.state != "ready" and self.searchable is not None):
            raise ValueError("an answer without being ready, or a state that it does not have")
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
    """The page without any answer: every section is there, and none has data (R8)."""
    return {section.id: SectionAnswer(section, "unavailable") for section in SECTIONS}


class Api:
    """Client of the API; each call is for the token's citizen. Raises ApiUnavailable and ApiRefused, unless
    a method says otherwise.
    """

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
        """Every section of the page by its id, in the page's order; sections without a valid answer are `unavailable`.

        Raises ApiRefused for a citizen outside the target group, and nothing else.
        """
        try:
            page = _parsed(_Page, await self._call("GET", "/v1/overview", token))
        except ApiUnavailable as error:
            log.warning("page_not_read", reason=error.reason)
            return unavailable()
        except ApiRefused as error:
            if error.kind == OUTSIDE_TARGET_GROUP:
                raise
            log.error("page_not_read", reason=error.kind)
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

    async def banner(self, token: str) -> Banner:
        """Whether the page is for this citizen today, and whether the front page shows its banner."""
        return _parsed(Banner, await self._call("GET", "/v1/banner", token))

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
        """The state of one of this citizen's fault reports."""
        return _parsed(Report, await self._call("GET", f"/v1/fault-reports/{number}", token))

    async def calendar(self, token: str, month: Month) -> CalendarAnswer:
        """The weeks of a month; every part is `unavailable` when they cannot be had. Raises nothing."""
        parts = [{"id": part, "state": "unavailable"} for part in CALENDAR_PARTS]
        lacking = CalendarAnswer.model_validate({"month": str(month), "parts": parts, "entries": [], "deadlines": []})
        answer = await self._stated(CalendarAnswer, f"/v1/calendar?month={month}", token, lacking)
        if answer.month != str(month):
            log.error("part_invalid", part="calendar")
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
        """Reads one part with its state; `lacking` after any failure, as a failure is not »no data« (R8)."""
        try:
            return _parsed(model, await self._call("GET", path, token))
        except ApiUnavailable as error:
            log.warning("part_not_read", part=model.__name__, reason=error.reason)
        except ApiRefused as error:
            log.error("part_not_read", part=model.__name__, reason=error.kind)
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
    """One section; a missing or invalid one is `unavailable`, and affects no other."""
    try:
        said = _Section.model_validate(answered)
        items = tuple(section.item.model_validate(item, extra="ignore") for item in said.items)
    except ValidationError:
        log.error("section_invalid", section=section.id)
        return SectionAnswer(section, "unavailable")
    if (said.state == "ready") != bool(items):
        # Ready without items would read as »no data«, which the API did not say.
        log.error("section_invalid", section=section.id)
        return SectionAnswer(section, "unavailable")
    return SectionAnswer(section, said.state, items, said.fetched_at, said.stale, said.retry_after)


_DEADLINES: TypeAdapter[tuple[Deadline, ...]] = TypeAdapter(tuple[Deadline, ...])


def _entries(said: Any) -> tuple[tuple[Entry, ...], frozenset[str]]:  # noqa: ANN401 - whatever the API sent
    """The entries that can be read, and the parts that an entry cannot be read of."""
    if not isinstance(said, list):
        return (), frozenset(KINDS)
    read, malformed = [], set[str]()
    for one in said:
        try:
            read.append(Entry.model_validate(one))
        except ValidationError:
            kind = one.get("kind") if isinstance(one, dict) else None
            malformed |= {part for part in KINDS if KINDS[part] == kind} or set(KINDS)
    return tuple(read), frozenset(malformed)


def _part(name: str, said: Any, *, there: bool) -> CalendarPart:  # noqa: ANN401 - whatever the API sent
    """One part of the calendar, of all; `there` is whether the answer has anything of it."""
    found = [one for one in said if isinstance(one, dict) and one.get("id") == name] if isinstance(said, list) else []
    try:
        part = CalendarPart.model_validate(found[0] if len(found) == 1 else None)
    except ValidationError:
        return _unavailable_part(name)
    return part if (part.state == "ready") == there else _unavailable_part(name)


def _unavailable_part(name: str) -> CalendarPart:
    log.error("part_invalid", part=name)
    return CalendarPart(id=name, state="unavailable")


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
