"""A server that answers as the HTTP API is documented, with every state that it can have at a test's will."""

import asyncio
import json
import threading
import uuid
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import Any, Self

import jwt
from aiohttp import web

from domain import fault_report
from domain.calendar_month import Month
from domain.cpr import Cpr
from domain.overview import OVERVIEWS, SECTIONS, UNAVAILABLE_TEXT
from domain.rules import DEFAULT_RULES
from domain.service_windows import danish_today
from domain.target_group import in_target_group

ISSUER, AUDIENCE = "the portal under test", "registerbro"

ITEMS: dict[str, list[dict[str, Any]]] = {
    "completed_educations": [{"name": "Htx", "year": 2018}],
    "started_educations": [
        {"name": "Hf", "status": "ongoing", "year": 2022},
        {"name": "Eux", "status": "interrupted", "year": 2020},
    ],
    "su_attempts": [{"count": 2}],
    "fgu": [
        {
            "place": "FGU Hovedstaden", "speciality": "Almen grunduddannelse", "status": "interrupted",
            "start": "2019-08-12", "end": "2020-02-01",
        }
    ],
    "stu": [{"place": "STU Ærø", "status": "completed", "start": "2020-08-10", "end": "2021-06-25"}],
    "employments": [
        {"employer": "Bageriet på Hjørnet ApS", "start": "2021-02-01", "end": "2021-09-30"},
        {"employer": "Føtex Ærøskøbing", "start": "2019-01-01", "end": "2020-05-31"},
    ],
    "benefits": [
        {"type": "Uddannelseshjælp", "start": "2021-03-01", "end": None, "concurrent_job": True},
        {"type": "Sygedagpenge", "start": "2020-06-01", "end": "2020-07-15", "concurrent_job": False},
    ],
}  # fmt: skip
"""What a page with all of it shows; the items of design.md, and one more of each where there may be several."""

JOB_TITLES: list[dict[str, Any]] = [
    {"title": "Butiksassistent", "registered": "2023-01-16", "ended": None},
    {"title": "Lagermedarbejder", "registered": "2021-08-02", "ended": "2022-11-30"},
    {"title": "Tømrer", "registered": None, "ended": None},
]
"""A history with a lost date (§2.1)."""


PARTS: dict[str, str | None] = {
    "deadlines": None, "meetings": "meeting", "activities": "activity", "absences": "absence", "joblog": "joblog",
}  # fmt: skip
"""The parts of the calendar in the API's order, and the kind of each one's entries."""
REGISTERS: dict[str, tuple[str, ...]] = {
    "visitering": ("absences", "cv_status"),
    "kontaktforloeb": ("deadlines", "meetings"),
    "jobsearch": ("job_titles",),
    "borgerindsats": ("activities", "joblog"),
}
"""Register → what of the calendar and the profile comes from it."""


def entry(kind: str, title: str, start: str, end: str | None = None, **more: Any) -> dict[str, Any]:
    """Something in the calendar, on one day or up to and with `end`."""
    return {
        "id": f"{kind}-{title}-{start}", "kind": kind, "title": title, "start": start, "end": end or start,
        "held": False, "text": None, **more,
    }  # fmt: skip


def going_on(kind: str, title: str, start: str) -> dict[str, Any]:
    """Something in the calendar whose end is not known."""
    return entry(kind, title, start) | {"end": None}


def deadline(day: str, meeting_type: str = "Jobsamtale", name: str = "frist-1") -> dict[str, Any]:
    """A deadline that is to be shown."""
    return {"id": name, "deadline": day, "meeting_type": meeting_type}


def free_time(day: str, hour: int, place: str = "Jobcenter Ærø") -> dict[str, Any]:
    """Half an hour that is free for a meeting."""
    return {
        "id": f"tid-{day}-{hour}", "start": f"{day}T{hour:02}:00:00+01:00", "end": f"{day}T{hour:02}:30:00+01:00",
        "place": place,
    }  # fmt: skip


def jobs(count: int) -> list[dict[str, Any]]:
    """So many employments, newest first."""
    return [
        {"employer": f"Job nr. {n}", "start": f"20{n:02}-01-01", "end": f"20{n:02}-12-31"} for n in range(count, 0, -1)
    ]


class FakeApi:
    """Runs on an event loop in a thread of its own, as a context manager; `url` is its address.

    `failing` makes every call end in `refuse` (connections), `hang`, `500`, `nonsense`, `garbage` or `outside`.
    `belongs` is whether the citizen is in the target group; by the default rules while None.
    """

    def __init__(self, jwks: dict[str, Any]) -> None:
        self._key = jwt.PyJWK(jwks["keys"][0])
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fake API", daemon=True)
        self._changed = asyncio.Event()
        self.sections: dict[str, dict[str, Any]] = {}
        self.failing: str | None = None
        self.answers_reports_with: tuple[int, dict[str, Any]] | None = None
        self.dismissed: set[str] = set()
        self.belongs: bool | None = None
        self.reports: dict[str, dict[str, Any]] = {}
        self.calls: list[str] = []
        self.claims: dict[str, Any] = {}
        self.listening = 0
        self.calendar: dict[str, Any] = {}
        """Fields of the calendar's answer that a test has otherwise than the API would."""
        self.parts: dict[str, dict[str, Any]] = {}
        """How it stands with the parts of the calendar; one that is not named is known."""
        self.entries: list[dict[str, Any]] = []
        self.deadlines: list[dict[str, Any]] = []
        self.job_titles: dict[str, Any] = {}
        self.cv_status: dict[str, Any] = {}
        self.times: list[dict[str, Any]] = []
        self.answers_times_with: tuple[int, dict[str, Any]] | None = None
        self.answers_bookings_with: tuple[int, dict[str, Any]] | None = None
        self.times_take_seconds = 0.0
        self.last_event = "settled"
        self.keeps_alive = False
        self.bookings: dict[str, dict[str, Any]] = {}
        self._streams: list[asyncio.Transport] = []
        self.fill()

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._runner.cleanup())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def reset(self) -> None:
        """As it was at the start."""
        self.failing = self.answers_reports_with = None
        self.answers_times_with = self.answers_bookings_with = None
        self.times_take_seconds, self.belongs = 0.0, None
        self.last_event, self.keeps_alive = "settled", False
        self.entries, self.deadlines, self.times = [], [], []
        self.bookings.clear()
        self.dismissed.clear()
        self.reports.clear()
        self.calls.clear()
        self.fill()

    def fill(self) -> None:
        """Every section has data."""
        for section in SECTIONS:
            self.ready(section.id, ITEMS[section.id])
        self.calendar, self.parts = {}, {}
        self.job_titles = stated("ready", items=JOB_TITLES)
        self.cv_status = stated("ready", searchable=True)

    def ready(
        self, name: str, items: list[dict[str, Any]], *, fetched_at: datetime | None = None, stale: bool = False
    ) -> None:
        """A section with data."""
        when = (fetched_at or datetime.now(UTC)).isoformat()
        again = 1 if stale else None
        self._put(
            name, state="ready" if items else "empty", items=items, fetched_at=when, stale=stale, retry_after=again
        )

    def empty(self, *names: str) -> None:
        """Sections without data; all of them, if none is named."""
        for name in names or ITEMS:
            self.ready(name, [])

    def pending(self, *names: str) -> None:
        """Sections that are being fetched; all of them, if none is named."""
        for name in names or ITEMS:
            self._put(name, state="pending")

    def unavailable(self, *names: str, retry_after: int = 1) -> None:
        """Sections that cannot be fetched; all of them, if none is named."""
        for name in names or ITEMS:
            self._put(name, state="unavailable", message=UNAVAILABLE_TEXT, retry_after=retry_after)

    def put_calendar(self, state: str, *parts: str, **more: Any) -> None:
        """How it stands with parts of the calendar; with all of them, if none is named. Their content stays."""
        self.parts |= {name: stated(state, **more) for name in parts or PARTS}

    def put_registers(self, state: str, *registers: str) -> None:
        """`pending` or `unavailable` is all that comes from these registers."""
        for name in (name for register in registers for name in REGISTERS[register]):
            if name in PARTS:
                self.put_calendar(state, name)
            else:
                setattr(self, name, stated(state))

    def calendar_answer(self, month: str) -> dict[str, Any]:
        """What `GET /v1/calendar` answers: of each part its state, of the known ones what they have, and the whole."""
        parts: list[dict[str, Any]] = []
        shown: dict[str, list[dict[str, Any]]] = {"entries": [], "deadlines": []}
        for name, kind in PARTS.items():
            own = self.deadlines if kind is None else [one for one in self._of_month(month) if one["kind"] == kind]
            said = self.parts.get(name) or stated("ready")
            if said["state"] in {"ready", "empty"}:
                said = said | {"state": "ready" if own else "empty"}
                shown["deadlines" if kind is None else "entries"] += own
            parts.append({"id": name, **said})
        shown["entries"].sort(key=lambda one: one["start"])
        return {"month": month, "parts": parts, **shown, **_whole(parts), **self.calendar}

    def _of_month(self, month: str) -> list[dict[str, Any]]:
        def day(written: str | None) -> date | None:
            return date.fromisoformat(written) if written else None

        shown = Month.parse(month)
        return [one for one in self.entries if shown.shows(date.fromisoformat(one["start"]), day(one["end"]))]

    def end_streams(self) -> None:
        """Breaks off every stream of events, as a server that dies does."""
        self._loop.call_soon_threadsafe(lambda: [transport.abort() for transport in self._streams])

    def _put(self, name: str, **said: Any) -> None:
        section = next(section for section in SECTIONS if section.id == name)
        plain = {"fetched_at": None, "stale": False, "retry_after": None, "message": None, "items": []}
        self.sections[name] = {"id": name, "register": section.register, "source": section.source, **plain, **said}
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    async def _start(self) -> None:
        app = web.Application(middlewares=[self._middleware])
        app.add_routes([
            web.get("/v1/overview", self._overview),
            web.post("/v1/overview/refresh", self._refresh),
            web.get("/v1/overview/events", self._events),
            web.get("/v1/banner", self._banner),
            web.put("/v1/banner/dismissed", self._dismiss),
            web.post("/v1/fault-reports", self._hand_in),
            web.get("/v1/fault-reports/{id}", self._report),
            web.get("/v1/calendar", self._calendar),
            web.get("/v1/job-titles", self._job_titles),
            web.get("/v1/cv-status", self._cv_status),
            web.get("/v1/booking/times", self._times),
            web.post("/v1/booking/bookings", self._book),
        ])  # fmt: skip
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    @web.middleware
    async def _middleware(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.calls.append(f"{request.method} {request.path}")
        match self.failing:
            case "refuse":
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            case "hang":
                await asyncio.Event().wait()
            case "500":
                return problem(500, "internal")
            case "garbage":
                return web.Response(body=b"\xff\xfe<html>", content_type="text/html")
            case "nonsense":
                return web.json_response(
                    {"overviews": "none", "visible": 17, "id": None, "state": "ready", "items": 1, "times": 0}
                )
            case "outside":
                return problem(403, "outside-target-group")
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        try:
            self.claims = jwt.decode(
                token,
                self._key,
                ["ES256"],
                issuer=ISSUER,
                audience=AUDIENCE,
                options={"require": ["exp", "sub", "cpr"]},
            )
        except jwt.InvalidTokenError:
            return problem(401, "unauthorised")
        response: web.StreamResponse = await handler(request)
        return response

    async def _overview(self, _: web.Request) -> web.Response:
        overviews = [
            {"id": name, "sections": [self.sections[one.id] for one in SECTIONS if one.overview == name]}
            for name in OVERVIEWS
        ]
        complete = all(section.get("state") != "pending" for section in self.sections.values())
        return web.json_response(
            {"complete": complete, "generated_at": datetime.now(UTC).isoformat(), "overviews": overviews}
        )

    async def _refresh(self, _: web.Request) -> web.Response:
        return web.json_response({"registers": {}}, status=202)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        self.listening += 1
        assert isinstance(request.transport, asyncio.Transport)
        self._streams.append(request.transport)
        told: dict[str, dict[str, Any]] = {}
        try:
            with suppress(ConnectionResetError):
                while True:
                    # A test changes them in its own thread: what is told, and whether it is all, is of one moment.
                    changed, sections = self._changed, dict(self.sections)
                    for name, section in sections.items():
                        if section.get("state") != "pending" and told.get(name) != section:
                            told[name] = section
                            await response.write(f"event: section\ndata: {json.dumps(section)}\n\n".encode())
                    if all(section.get("state") != "pending" for section in sections.values()):
                        break
                    while self.keeps_alive and not changed.is_set():
                        await response.write(b": ping\n\n")
                        await asyncio.sleep(0.02)
                    await changed.wait()
                await response.write(f"event: {self.last_event}\ndata: {{}}\n\n".encode())
        finally:
            self.listening -= 1
            self._streams.remove(request.transport or self._streams[0])
        return response

    async def _banner(self, _: web.Request) -> web.Response:
        belongs = self.belongs
        if belongs is None:
            belongs = in_target_group(
                DEFAULT_RULES.target_group,
                born=Cpr.parse(self.claims["cpr"]).birth_date,
                contact_groups=self.claims["contact_groups"],
                education_order=self.claims["education_order"],
                today=danish_today(),
            )
        visible = belongs and self.claims["cpr"] not in self.dismissed
        return web.json_response({"in_target_group": belongs, "visible": visible})

    async def _dismiss(self, _: web.Request) -> web.Response:
        self.dismissed.add(self.claims["cpr"])
        return web.Response(status=204)

    async def _hand_in(self, request: web.Request) -> web.Response:
        if self.answers_reports_with is not None:
            status, facts = self.answers_reports_with
            return problem(status, **facts)
        body = await request.json()
        try:
            text = fault_report.validate(body["text"])
        except fault_report.FaultReportTooLong as error:
            return problem(422, "fault-report-too-long", length=error.length, limit=error.limit, excess=error.excess)
        key = request.headers["Idempotency-Key"]
        report = self.reports.setdefault(
            key,
            {
                "id": str(uuid.uuid4()), "status": "accepted", "accepted_at": datetime.now(UTC).isoformat(),
                "text": text, "page": body.get("page"), "error_code": body.get("error_code"), "case": None,
            },
        )  # fmt: skip
        if report["text"] != text:
            return problem(422, "idempotency-key-reused")
        return web.json_response({name: report[name] for name in ("id", "status", "accepted_at")}, status=202)

    async def _report(self, request: web.Request) -> web.Response:
        for report in self.reports.values():
            if report["id"] == request.match_info["id"]:
                return web.json_response({name: report[name] for name in ("id", "status", "accepted_at", "case")})
        return problem(404, "not-found")

    async def _calendar(self, request: web.Request) -> web.Response:
        return web.json_response(self.calendar_answer(request.query["month"]))

    async def _job_titles(self, _: web.Request) -> web.Response:
        return web.json_response({"items": [], **self.job_titles})

    async def _cv_status(self, _: web.Request) -> web.Response:
        return web.json_response({"searchable": None, **self.cv_status})

    async def _times(self, request: web.Request) -> web.Response:
        await asyncio.sleep(self.times_take_seconds)
        if self.answers_times_with is not None:
            status, facts = self.answers_times_with
            return problem(status, **facts)
        if request.query["deadline"] not in {one["id"] for one in self.deadlines}:
            return problem(404, "not-found")
        return web.json_response({"times": self.times})

    async def _book(self, request: web.Request) -> web.Response:
        if self.answers_bookings_with is not None:
            status, facts = self.answers_bookings_with
            return problem(status, **facts)
        body, key = await request.json(), request.headers["Idempotency-Key"]
        if key not in self.bookings:
            time = next((one for one in self.times if one["id"] == body["time"]), None)
            if time is None:
                return problem(409, "time-taken")
            self.times.remove(time)
            self.deadlines = [one for one in self.deadlines if one["id"] != body["deadline"]]
            self.bookings[key] = {**time, "id": str(uuid.uuid4()), "asked": body}
        booked = self.bookings[key]
        if booked["asked"] != body:
            return problem(422, "idempotency-key-reused")
        return web.json_response({name: booked[name] for name in ("id", "start", "end", "place")}, status=201)


def stated(state: str, **more: Any) -> dict[str, Any]:
    """What the API says of the state of a part of a page, as a register would leave it."""
    facts: dict[str, Any] = {"retry_after": None, "message": None, "stale": False}
    if state == "unavailable":
        facts = facts | {"message": UNAVAILABLE_TEXT, "retry_after": 1}
    fetched_at = datetime.now(UTC).isoformat() if state in {"ready", "empty"} else None
    return {"state": state, "source": "Det fælles Datagrundlag (DFDG)", "fetched_at": fetched_at, **facts, **more}


def _whole(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """The top of a calendar's answer, as docs/api.md says that it follows from the parts."""
    states = [part["state"] for part in parts]
    known = [part for part in parts if part["state"] in {"ready", "empty"}]
    state = next((one for one in ("ready", "pending", "unavailable") if one in states), "empty")
    return {
        "state": state,
        "source": "Det fælles Datagrundlag (DFDG)",
        "fetched_at": min((part["fetched_at"] for part in known), default=None),
        "stale": any(part["stale"] for part in known),
        "retry_after": min((part["retry_after"] for part in parts if part["state"] == "unavailable"), default=None),
        "message": UNAVAILABLE_TEXT if state == "unavailable" else None,
    }


def problem(status: int, type: str, **facts: Any) -> web.Response:  # noqa: A002 - the member's name
    """A problem (RFC 9457) as the API gives it."""
    body = {"type": type, "title": type, "status": status, "detail": type, **facts}
    return web.json_response(body, status=status, content_type="application/problem+json")
