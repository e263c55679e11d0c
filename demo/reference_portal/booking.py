"""»Book møder med frist«: the deadlines, the free times in the calendar, and booking one of them once (§3.3)."""

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import groupby
from typing import Any, Literal
from urllib.parse import urlencode

import structlog
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from demo.reference_portal import calendar_view, dates, texts
from demo.reference_portal.api import (
    ANSWER_WITHIN_SECONDS,
    BOOK_WITHIN_SECONDS,
    ApiRefused,
    ApiUnavailable,
    Deadline,
    State,
    Time,
)
from demo.reference_portal.calendar_view import Grid, Shown
from demo.reference_portal.session import Booked, SignedIn
from demo.reference_portal.site import Site, today
from domain.calendar_month import Month
from domain.service_windows import DENMARK

log = structlog.get_logger()

PATH = "/book-moeder-med-frist"
LONGEST_ID = 200
"""Characters; the API's ids are shorter, and anything longer is none."""
AT_LEAST_SECONDS = 0.05
"""Time for the free times when the deadlines took all of the page's."""

Times = Literal["ready", "pending", "unavailable", "none"]


@dataclass(frozen=True, slots=True)
class Trouble:
    """Error text; `code` is the error's name at the booking system's vendor."""

    text: str
    code: str | None = None
    kind: str = "warning"

    @property
    def report(self) -> str:
        """»Fejlmeld mødebooking«, filled with where and what."""
        return f"/fejlmeld-moedebooking?{urlencode({'side': PATH, 'fejlkode': self.code or ''})}"


@dataclass(frozen=True, slots=True)
class FreeTime:
    """One time to choose."""

    id: str
    words: str


@dataclass(frozen=True, slots=True)
class BookingView:
    """The page. `times` is how it stands with the free times of the deadline that was chosen."""

    state: State
    mark: str
    key: str
    deadlines: tuple[Deadline, ...] = ()
    deadline: Deadline | None = None
    times: Times = "none"
    grid: Grid | None = None
    first_month: Month | None = None
    first_link: str = ""
    free_in_month: bool = False
    day: date | None = None
    free: tuple[FreeTime, ...] = field(default=(), repr=False)
    chosen: str = ""
    trouble: Trouble | None = None
    mistake: str = ""
    gone: bool = False
    retry: bool = False
    """Whether all there is to do is to send the same again."""
    retry_after: int | None = None

    @property
    def waits(self) -> State:
        """The state that a script looks at: whether to look again, and how soon."""
        if self.state != "ready" or self.retry:
            return self.state
        return self.times if self.times in {"pending", "unavailable"} and self.trouble is None else "ready"


@dataclass(frozen=True, slots=True)
class Asked:
    """Choices in an address or a form: deadline, month, day and time."""

    deadline: str | None
    month: Month | None
    day: date | None
    time: str
    key: str

    @classmethod
    def read(cls, fields: Mapping[str, str]) -> "Asked":
        """From the fields of a form, or of an address."""
        return cls(
            _id(fields.get("frist")) or None,
            calendar_view.chosen_month(fields.get("maaned")),
            calendar_view.chosen_day(fields.get("dag")),
            _id(fields.get("tid")),
            _key(fields.get("noegle", "")),
        )


class BookingPages:
    """The page, the part of it that changes, booking, and the receipt."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[BaseRoute]:
        """The routes that lead here."""
        return [
            Route(PATH, self.get_page),
            Route(PATH, self.book, methods=["POST"]),
            Route(f"{PATH}/del", self.part),
            Route(f"{PATH}/kvittering", self.receipt),
        ]

    async def get_page(self, request: Request) -> Response:
        user, asked = self._site.user(request), Asked.read(request.query_params)
        # A browser without script waits when its user chose to.
        within = BOOK_WITHIN_SECONDS if "vent" in request.query_params else ANSWER_WITHIN_SECONDS
        return self._shown(request, await self._view(user, asked, within=within))

    async def part(self, request: Request) -> Response:
        user, asked = self._site.user(request), Asked.read(request.query_params)
        view = await self._view(user, asked, within=BOOK_WITHIN_SECONDS)
        csrf = self._site.visit(request).csrf
        return HTMLResponse(self._site.render_text("booking_part.html", booking=view, csrf=csrf))

    async def book(self, request: Request) -> Response:
        user = self._site.user(request)
        asked = Asked.read(await self._site.form(request))
        if asked.deadline is None or not asked.time:
            view = await self._view(user, asked, mistake=texts.BOOK_NOT_CHOSEN)
            return self._shown(request, view, 422)
        try:
            booked = await self._site.api.book(user.token, asked.key, deadline=asked.deadline, time=asked.time)
        except ApiUnavailable as error:
            log.warning("booking_not_confirmed", reason=error.reason)
            return self._shown(request, _again(asked, Trouble(texts.BOOK_NOT_KNOWN)))
        except ApiRefused as error:
            log.warning("booking_refused", reason=error.kind)
            return await self._refused(request, user, asked, error)
        session = self._site.visit(request).model_copy(
            update={"booked": Booked(start=booked.start, end=booked.end, place=booked.place)}
        )
        return self._site.redirect(f"{PATH}/kvittering", session)

    async def _refused(self, request: Request, user: SignedIn, asked: Asked, error: ApiRefused) -> Response:
        trouble = _of_the_system(error)
        if trouble is not None:
            return self._shown(request, _again(asked, trouble))
        if error.kind == "rate-limited":
            return self._shown(request, _again(asked, Trouble(texts.BOOK_TOO_MANY)))
        if error.kind in {"not-found", "wrong-state"}:
            # The deadline is no longer this citizen's to book for: booked on another page, or passed meanwhile.
            return self._shown(request, replace(await self._view(user, asked), gone=True), 409)
        said = {"time-taken": texts.BOOK_TAKEN, "idempotency-key-reused": texts.BOOK_KEY_USED}
        # The next attempt is for another time: it gets another key.
        view = await self._view(
            user,
            Asked(asked.deadline, asked.month, asked.day, "", _key("")),
            trouble=Trouble(said.get(error.kind, texts.BOOK_NOT_POSSIBLE)),
        )
        return self._shown(request, view, 409)

    async def receipt(self, request: Request) -> Response:
        self._site.user(request)
        booked = self._site.visit(request).booked
        if booked is None:
            return self._site.redirect(PATH)
        day = dates.day_of_week(booked.start.astimezone(DENMARK).date())
        return self._site.render(
            request,
            "booked.html",
            when=f"{day} {dates.clock_span(booked.start, booked.end)}",
            place=booked.place,
            month=Month.of(booked.start.astimezone(DENMARK).date()),
        )

    def _shown(self, request: Request, view: BookingView, status: int = 200) -> Response:
        return self._site.render(request, "booking.html", status, booking=view)

    async def _view(
        self,
        user: SignedIn,
        asked: Asked,
        *,
        within: float = ANSWER_WITHIN_SECONDS,
        trouble: Trouble | None = None,
        mistake: str = "",
    ) -> BookingView:
        """The page for what was asked. The deadlines come first, and the times have what is left of the seconds."""
        ends = time.monotonic() + within
        # The API names every deadline to show, independent of the month.
        answer = await self._site.api.calendar(user.token, Month.of(today()))
        part = answer.of_deadlines
        if not part.known:
            return BookingView(part.state, part.state, asked.key, trouble=trouble, retry_after=part.retry_after)
        deadlines = {one.id: one for one in answer.deadlines}
        listed = tuple(sorted(deadlines.values(), key=lambda one: (one.deadline, one.meeting_type)))
        chosen = deadlines.get(asked.deadline or "") or (listed[0] if len(listed) == 1 and not asked.deadline else None)
        if chosen is None:
            return BookingView("ready", "ready", asked.key, listed, trouble=trouble, gone=asked.deadline is not None)
        try:
            times = await self._site.api.booking_times(
                user.token, chosen.id, within=max(AT_LEAST_SECONDS, ends - time.monotonic())
            )
        except ApiUnavailable as error:
            log.warning("booking_without_times", reason=error.reason)
            waits = error.reason == "timeout" and within < BOOK_WITHIN_SECONDS
            state_of_times: Times = "pending" if waits else "unavailable"
            return BookingView(
                "ready", state_of_times, asked.key, listed, chosen, state_of_times, trouble=trouble, mistake=mistake
            )
        except ApiRefused as error:
            log.warning("booking_without_times", reason=error.kind)
            if error.kind == "not-found":
                return BookingView("ready", "ready", asked.key, listed, trouble=trouble, gone=True)
            trouble = trouble or _of_the_system(error)
            return BookingView("ready", "unavailable", asked.key, listed, chosen, "unavailable", trouble=trouble)
        return _with_times(asked, listed, chosen, times, trouble=trouble, mistake=mistake)


def _with_times(
    asked: Asked,
    listed: tuple[Deadline, ...],
    chosen: Deadline,
    times: Sequence[Time],
    *,
    trouble: Trouble | None,
    mistake: str,
) -> BookingView:
    def day_of(one: Time) -> date:
        return one.start.astimezone(DENMARK).date()

    def link(**parameters: Any) -> str:  # noqa: ANN401 - whatever can be written
        query = urlencode({"frist": chosen.id} | {name: value for name, value in parameters.items() if value})
        return f"{PATH}?{query}" + (f"#{calendar_view.CHOSEN}" if "dag" in parameters else "")

    ordered = sorted(times, key=lambda one: (one.start, one.place, one.id))
    by_day = {day: list(group) for day, group in groupby(ordered, key=day_of)}
    first = next(iter(by_day), None)
    month = asked.month or (Month.of(asked.day) if asked.day else None) or Month.of(first or today())
    bars = [
        Shown(f"ledige-{day}", "free", _free(len(free)).format(count=len(free)), day, day, link(maaned=month, dag=day))
        for day, free in by_day.items()
    ]
    if month.shows(chosen.deadline, chosen.deadline):
        bars.insert(0, Shown(chosen.id, "deadline", texts.DEADLINE, chosen.deadline, chosen.deadline))
    day = asked.day if asked.day in by_day else None
    return BookingView(
        "ready",
        "ready",
        asked.key,
        listed,
        chosen,
        "ready" if by_day else "none",
        grid=calendar_view.grid(
            month,
            bars,
            today=today(),
            link=link,
            chosen=day,
            opens=lambda one: one in by_day,
            # The bar says it all.
            holds=lambda _: "",
        ),
        first_month=Month.of(first) if first else None,
        first_link=link(maaned=Month.of(first)) if first else "",
        free_in_month=any(Month.of(one) == month for one in by_day),
        day=day,
        free=tuple(
            FreeTime(one.id, f"{dates.clock_span(one.start, one.end)}, {one.place}") for one in by_day.get(day, ())
        )
        if day
        else (),
        chosen=asked.time,
        trouble=trouble,
        mistake=mistake,
    )


def _again(asked: Asked, trouble: Trouble) -> BookingView:
    """The error alone, with the same form and the same key."""
    deadline = Deadline(id=asked.deadline or "", deadline=today(), meeting_type="")
    return BookingView("ready", "ready", asked.key, deadline=deadline, chosen=asked.time, trouble=trouble, retry=True)


def _of_the_system(error: ApiRefused) -> Trouble | None:
    """The booking system's own two errors, which a citizen reads as two (§3.3)."""
    code = error.facts.get("error_code")
    known = {
        "booking-system-unreachable": (texts.BOOK_UNREACHABLE, "4769/9018"),
        "booking-system-contract": (texts.BOOK_CONTRACT, "9303/9329"),
    }
    if error.kind not in known:
        return None
    text, usual = known[error.kind]
    return Trouble(text, code if isinstance(code, str) and code else usual)


def _free(count: int) -> str:
    return texts.BOOK_FREE_ONE if count == 1 else texts.BOOK_FREE


def _id(given: str | None) -> str:
    return given if given and len(given) <= LONGEST_ID and given.isprintable() else ""


def _key(given: str) -> str:
    try:
        return str(uuid.UUID(given))
    except ValueError:
        return str(uuid.uuid4())
