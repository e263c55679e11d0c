"""Load on a whole installation, and the record of it: what citizens were told, what ran, and whether it goes on.

Citizens read their pages, ask for refreshes and hand in fault reports over HTTP; tasks that last run meanwhile. The
verdict is from answers, from what the upstreams received and from the workers' notes
(`tests/system/chaos/recording.py`), and not from the product's own states.
"""

import asyncio
import json
import os
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import count, cycle, pairwise
from pathlib import Path
from typing import Self

import httpx

from config.celery import REGISTERS, TIDY_EVERY
from config.settings import Settings
from demo import tokens
from demo.installation import Installation, wait_for
from domain.cpr import Cpr
from domain.overview import OVERVIEWS, sections_of
from domain.rules import DEFAULT_RULES
from domain.target_group import in_target_group
from registerbro.messaging.publish import publish
from simulators.control import Control
from tests.system.chaos import recording
from tests.system.chaos.history import Answer, History, Submission, holds, undelivered, verdict
from tests.system.chaos.pages import Seen, sections
from tests.system.chaos.reports import PER_CITIZEN, cpr_of
from workers.process import beat_schedule

SETTINGS = {
    "REFRESHES_PER_MINUTE": "100000",
    # So short that there is always something to fetch.
    **{f"{name.upper()}__FRESH_FOR": "PT3S" for name in REGISTERS},
    **{f"{name.upper()}__RETRY_AFTER": "PT1S" for name in REGISTERS},
    "BOOKING_VENDOR__LONGEST_WAIT": "PT4S",
    "BOOKING_VENDOR__RETRY_AFTER": "PT2S",
    "BOOKING_VENDOR__IDEMPOTENT": "true",
}
SLOW = {"kind": "latency", "median": 0.3, "p99": 1.0}
"""As registers are, so that refreshes are under way at every moment."""
READERS, REFRESHERS, REPORTERS = 6, 2, 1
"""How many of each are at it at a time, and after how many seconds each of them comes again."""
READS_EVERY, REFRESHES_EVERY, REPORTS_EVERY = 0.5, 1.0, 1.0
FIRST_CITIZENS, TURNS_PER_NEWCOMER = 3, 4
PROBES = 3
"""Citizens who come after a refusal, and whom nobody asked about while it lasted."""
INCOMPLETE = 1
"""Citizens of the simulators, at the most, of whom a register tells nothing that can be read."""
LOOKS_EVERY = 0.2
ANSWERED_WITHIN_SECONDS = 30.0
"""When nobody answers for so long, a browser would have given up. How long it takes is told, and not judged."""
PROBLEMS_TOLD = 20
INTERVALS = {
    (entry["task"], entry["options"]["queue"]): entry["schedule"].total_seconds()
    for entry in beat_schedule.entries().values()
    if entry["schedule"] < TIDY_EVERY
}
"""Task and queue → seconds between two runs, of all that happens by itself often enough to be seen."""


@dataclass(frozen=True)
class Run:
    """One run of a task, in seconds of the clock that all processes share; `ended` is None while it runs."""

    id: str
    task: str
    queue: str
    began: float
    ended: float | None = None


def runs_in(lines: Iterable[str]) -> list[Run]:
    """The runs in a worker's notes. One that began again while it ran, or after its end, is another run."""
    found: list[Run] = []
    under_way: dict[tuple[int, str], int] = {}
    for line in lines:
        what, at, process, task_id, task, queue = json.loads(line)
        if what == "began":
            under_way[process, task_id] = len(found)
            found.append(Run(task_id, task, queue, at))
        elif (place := under_way.pop((process, task_id), None)) is not None:
            one = found[place]
            found[place] = Run(one.id, one.task, one.queue, one.began, at)
    return found


def run_again(runs: Iterable[Run]) -> dict[str, int]:
    """Task → how many of its runs were of a message that had been run before."""
    ids = Counter((one.task, one.id) for one in runs)
    again: Counter[str] = Counter()
    for (task, _), times in ids.items():
        again[task] += times - 1
    return {task: times for task, times in again.items() if times}


def silences(runs: Iterable[Run], began: float, ended: float, queues: Iterable[str]) -> dict[str, float]:
    """Of each entry of the schedule, the longest time between two of its runs between two moments, in intervals."""
    moments: defaultdict[tuple[str, str], list[float]] = defaultdict(lambda: [began])
    served = set(queues)
    for one in runs:
        if began <= one.began <= ended:
            moments[one.task, one.queue].append(one.began)
    return {
        f"{task} {queue}": round(
            max(later - earlier for earlier, later in pairwise([*sorted(moments[task, queue]), ended])) / interval, 2
        )
        for (task, queue), interval in INTERVALS.items()
        if queue in served
    }


class Load:
    """Citizens at work on an installation that is up. Open it in the event loop that uses it, as a context."""

    def __init__(self, here: Installation, control: Control, settings: Settings, services: Iterable[str]) -> None:
        self.here, self.control, self.settings = here, control, settings
        self.services = tuple(services)
        self.served = {section.id for name in self.services if name in REGISTERS for section in sections_of(name)}
        self.notes = here.directory / "notes.jsonl"
        self.notes.touch()
        self.history = History(here.directory / "history.jsonl")
        self.seen = Seen()
        self.phase = "calm"
        self.statuses: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.took: defaultdict[str, list[float]] = defaultdict(list)
        self.states: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.problems: list[str] = []
        self._key = (here.directory / "signing-key.pem").read_bytes()
        self.citizens = [
            one
            for one in control.citizens()
            if in_target_group(
                DEFAULT_RULES.target_group,
                born=Cpr.parse(one["cpr"]).birth_date, contact_groups=frozenset(one["contact_groups"]),
                education_order=one["education_order"], today=date.today(),  # noqa: DTZ011 - a day more or less is none
            )
        ]  # fmt: skip
        self._headers = [self._signed(**one) for one in self.citizens]
        self.truths: dict[int, dict] = {}
        self._http = httpx.AsyncClient(
            base_url=here.portal_url, timeout=ANSWERED_WITHIN_SECONDS, trust_env=False,
            # Nobody waits for another's connection: what is measured is the portal.
            limits=httpx.Limits(max_connections=None),
        )  # fmt: skip
        self._pids = {name: process.popen.pid for name, process in here.processes.items()}
        self._tasks: list[asyncio.Task[None]] = []
        self._numbers = count()
        self._lasting = count()

    async def __aenter__(self) -> Self:
        for name in (*self.services, "cvr"):
            self.control.fault(name, SLOW)
        await self._know_everybody()
        # Nothing is kept of anybody now, as the cache may be emptied at any time.
        with self.here.redis["cache"].client() as cache:
            cache.flushall()
        self._tasks = [
            *(asyncio.create_task(self._read(number)) for number in range(READERS)),
            *(asyncio.create_task(self._refresh(number)) for number in range(REFRESHERS)),
            *(asyncio.create_task(self._report()) for _ in range(REPORTERS)),
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end()
        await self._http.aclose()

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        for result in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(result, Exception):
                self.problem(f"the load ended with {type(result).__name__}: {result}")
        self._tasks = []

    def problem(self, text: str) -> None:
        """Notes what must not be."""
        self.problems.append(f"{self.phase}: {text}")

    async def _know_everybody(self) -> None:
        """Reads each page until all of it is there; of whom a register tells nothing that can be read is left out."""
        pages: dict[int, dict] = {}

        async def are_there() -> bool:
            for citizen in range(len(self.citizens)):
                if citizen not in pages and (page := await self._page(citizen)) and all(_fetched(page).values()):
                    pages[citizen] = page
            return len(pages) >= len(self.citizens) - INCOMPLETE

        await self._until(are_there, "everybody's page")
        self.citizens = [self.citizens[citizen] for citizen in pages]
        self._headers = [self._headers[citizen] for citizen in pages]
        self.truths = dict(enumerate(pages.values()))
        self.seen = Seen()
        self._crowd = len(self.citizens) - PROBES
        self._probes = cycle(range(self._crowd, len(self.citizens)))

    # What citizens do.

    async def _read(self, number: int) -> None:
        """Reads one page after the other: of those who were there before and, little by little, of newcomers."""
        for turn in count():
            known = min(self._crowd, FIRST_CITIZENS + turn // TURNS_PER_NEWCOMER)
            await self._page((number + turn) % known)
            await asyncio.sleep(READS_EVERY)

    async def _page(self, citizen: int) -> dict | None:
        answer = await self._ask("GET", "/v1/overview", self._headers[citizen])
        if answer is None:
            return None
        if answer.status_code != 200:
            self.problem(f"a page was answered with {answer.status_code}")
            return None
        page = self._of_served(answer.json())
        for problem in self.seen.note(citizen, page, time.monotonic()):
            self.problem(problem)
        self.states[self.phase].update(section["state"] for section in sections(page))
        return page

    def _of_served(self, page: dict) -> dict:
        """The sections of registers that have a worker here."""
        if [overview["id"] for overview in page["overviews"]] != list(OVERVIEWS):
            self.problem("a page has other overviews")
        kept = [
            {"sections": [section for section in overview["sections"] if section["id"] in self.served]}
            for overview in page["overviews"]
        ]
        return {**page, "overviews": kept}

    async def _refresh(self, number: int) -> None:
        for turn in count(number):
            answer = await self._ask("POST", "/v1/overview/refresh", self._headers[turn % self._crowd])
            if answer is not None and answer.status_code != 202:
                self.problem(f"a refresh was answered with {answer.status_code}")
            await asyncio.sleep(REFRESHES_EVERY)

    async def _report(self) -> None:
        async with asyncio.TaskGroup() as citizens:
            while True:
                citizens.create_task(self.hand_in())
                await asyncio.sleep(REPORTS_EVERY)

    async def hand_in(self) -> str:
        """One report, as from a browser: asks again with the same key until there is an answer. Returns its id."""
        number = next(self._numbers)
        text = f"Rapport {number}: æøå\nDer skete en fejl."
        headers = {
            **self._signed(cpr_of(number // PER_CITIZEN).digits, [12], education_order=False),
            "Idempotency-Key": f"key-{number}",
        }
        try:
            while True:
                answer = await self._ask("POST", "/v1/fault-reports", headers, json={"text": text})
                if answer is not None and answer.status_code == 202:
                    break
                if answer is not None and (answer.status_code != 503 or "reports-not-possible" not in answer.text):
                    self.problem(f"a report was answered with {answer.status_code}")
                await asyncio.sleep(1.0)
        except asyncio.CancelledError:
            self.history.note(Submission(text, Answer.UNKNOWN))
            raise
        self.history.note(Submission(text, Answer.ACCEPTED, (answer.json()["id"],)))
        return answer.json()["id"]

    async def _ask(self, method: str, path: str, headers: Mapping[str, str], **more: object) -> httpx.Response | None:
        """The answer; None, which is a problem, when there was none."""
        began, phase = time.monotonic(), self.phase
        try:
            answer = await self._http.request(method, path, headers=headers, **more)
        except httpx.TransportError as error:
            self.problem(f"{method} {path}: {type(error).__name__}")
            return None
        self.took[f"{phase} {path}"].append(time.monotonic() - began)
        self.statuses[phase][f"{method} {path} {answer.status_code}"] += 1
        return answer

    def _signed(self, cpr: str, contact_groups: Iterable[int], *, education_order: bool, **_: object) -> dict[str, str]:
        token = tokens.sign(
            self._key, issuer="registerbro-demo", audience="registerbro", cpr=Cpr.parse(cpr),
            contact_groups=list(contact_groups), education_order=education_order, lasts=timedelta(hours=5),
        )  # fmt: skip
        return {"Authorization": f"Bearer {token}"}

    # Tasks that last.

    @asynccontextmanager
    async def lasting(self) -> AsyncIterator[Path]:
        """A task that runs from before the block until after it, or until somebody makes the file that it waits for."""
        until = self.here.directory / f"lasting-{next(self._lasting)}"

        async def is_sent() -> bool:
            return await asyncio.to_thread(_publishes, "udb.lasts", str(until))

        async def runs() -> bool:
            return sum(one.task == "udb.lasts" for one in self.runs()) > before

        before = sum(one.task == "udb.lasts" for one in self.runs())
        await self._until(is_sent, "a publisher")
        await self._until(runs, "a task that lasts")
        try:
            yield until
        finally:
            until.touch()

    # Looking at it.

    def runs(self) -> list[Run]:
        """What ran until now."""
        return runs_in(self.notes.read_text(encoding="utf-8").splitlines())

    def check_processes(self) -> None:
        """That each process is the one that it was at the beginning."""
        for name, process in self.here.processes.items():
            if not process.runs or process.popen.pid != self._pids[name]:
                self.problem(f"{name} ended")

    def queues(self) -> list[str]:
        """The queues that have a worker here."""
        return [queue for task, queue in INTERVALS if task.partition(".")[0] in self.services]

    async def goes_on(self, since: float, within: float, *, for_everybody: bool) -> dict[str, float]:
        """After how many seconds each thing went on after a moment: what is scheduled, a page, a report, readiness.

        What does not within so many seconds is a problem, and has that many. `for_everybody`: also the pages of all
        those who were there meanwhile; what was asked for as it began may have to wait until its lease has ended.
        """
        page = asyncio.create_task(self._comes_anew([next(self._probes)], "a page", within))
        report = asyncio.create_task(self._delivers(within))
        ready = asyncio.create_task(self._until(self._is_ready, "readiness", within))
        entries = {entry for entry in INTERVALS if entry[0].partition(".")[0] in self.services}

        async def all_ran() -> bool:
            return entries <= {(one.task, one.queue) for one in self.runs() if one.began >= since}

        scheduled = asyncio.create_task(self._until(all_ran, "what is scheduled", within))
        waited = {"scheduled": scheduled, "page": page, "report": report, "ready": ready}
        if for_everybody:
            everybody = self._comes_anew(range(len(self.citizens)), "everybody's page", within)
            waited["every_page"] = asyncio.create_task(everybody)
        return {name: round(await task - since, 1) for name, task in waited.items()}

    async def _comes_anew(self, citizens: Iterable[int], what: str, within: float) -> float:
        """The moment at which all that these see was fetched later than what they saw at first."""
        left = {citizen: _fetched(await self._page(citizen)) for citizen in citizens}

        async def all_came() -> bool:
            for citizen, before in list(left.items()):
                await self._ask("POST", "/v1/overview/refresh", self._headers[citizen])
                now = _fetched(await self._page(citizen))
                # When it was fetched is told by a clock that may have been set meanwhile.
                if now and all(at and at != before.get(section) for section, at in now.items()):
                    del left[citizen]
            return not left

        return await self._until(all_came, what, within)

    async def _delivers(self, within: float) -> float:
        ends = time.monotonic() + within
        try:
            async with asyncio.timeout(within):
                report_id = await self.hand_in()
        except TimeoutError:
            self.problem("no report was taken")
            return ends
        return await self._until(lambda: self._has(report_id), "a report", within)

    async def _has(self, report_id: str) -> bool:
        return any(entry["key"] == report_id for entry in await asyncio.to_thread(self.control.reports))

    async def _all_are_delivered(self) -> bool:
        return not undelivered(self.history.submissions(), await asyncio.to_thread(self.control.reports))

    async def _is_ready(self) -> bool:
        answer = await self._ask("GET", "/readyz", {})
        if answer is None:
            return False
        told = answer.json()
        return all(told["redis"].values()) and all(told["queues"][queue] for queue in self.queues())

    async def _until(self, condition, what: str, within: float = 60.0) -> float:
        """The moment at which it came true."""
        ends = time.monotonic() + within
        while time.monotonic() < ends:
            if await condition():
                return time.monotonic()
            await asyncio.sleep(LOOKS_EVERY)
        self.problem(f"{what} did not come within {within:.0f} s")
        return ends

    async def ended(self, within: float = 120.0) -> dict:
        """Ends the load, waits until all reports are delivered, and returns what was found."""
        self.phase = "the end"
        await self._end()
        await self._until(self._all_are_delivered, "every report's delivery", within)
        for wrong in self.seen.wrong(self.truths):
            self.problem(wrong)
        longest = max(self.settings.register(name).pending_for for name in REGISTERS)
        if self.seen.longest_pending > longest.total_seconds() + 2 * READS_EVERY:
            self.problem(f"a section was pending for {self.seen.longest_pending:.0f} s")
        runs = self.runs()
        for task, times in run_again(runs).items():
            self.problem(f"{task} was run {times} times again")
        reports = verdict(self.history.submissions(), self.control.reports())
        if not holds(reports):
            self.problem(f"reports: {reports}")
        return {
            "reports": reports,
            "runs": len(runs),
            "citizens": len(self.citizens),
            "pages": sum(len(times) for name, times in self.took.items() if name.endswith("/overview")),
            "longest_pending": round(self.seen.longest_pending, 1),
            "problems": len(self.problems),
        }

    def told(self, phase: str) -> dict:
        """What citizens were told in a phase: answers by status, sections by state, and how long pages took."""
        took = sorted(self.took[f"{phase} /v1/overview"]) or [0.0]
        return {
            "answers": dict(sorted(self.statuses[phase].items())),
            "sections": dict(sorted(self.states[phase].items())),
            "page_ms": {"p50": _ms(took, 0.5), "p99": _ms(took, 0.99), "most": _ms(took, 1.0)},
        }


def _fetched(page: Mapping | None) -> dict[str, str | None]:
    """Section → when it was fetched, None where nothing is shown of it."""
    return {section["id"]: section["fetched_at"] for section in sections(page)} if page else {}


class Effort:
    """What processes take: processor time, and lines that they log, since it was made."""

    def __init__(self, here: Installation) -> None:
        self._here = here
        self._began = time.monotonic()
        self._before = self._look()

    def told(self) -> dict:
        """Per process: the share of a core, and KiB of log per second; the three that take most of each."""
        passed = time.monotonic() - self._began
        now = self._look()
        cores = {name: round((now[name][0] - before[0]) / passed, 2) for name, before in self._before.items()}
        logs = {name: round((now[name][1] - before[1]) / 1024 / passed, 1) for name, before in self._before.items()}
        return {"cores": _most(cores), "log_kib_per_second": _most(logs)}

    def _look(self) -> dict[str, tuple[float, int]]:
        return {
            name: (_processor_seconds(process.popen.pid), process.log.stat().st_size)
            for name, process in self._here.processes.items()
        }


def _processor_seconds(process: int) -> float:
    with suppress(OSError):
        fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _most(values: Mapping[str, float]) -> dict[str, float]:
    return dict(sorted(values.items(), key=lambda item: -item[1])[:3])


def _ms(times: list[float], part: float) -> int:
    return round(times[min(len(times) - 1, int(part * len(times)))] * 1000)


def _publishes(task: str, *arguments: str) -> bool:
    try:
        publish(task, list(arguments), task.partition(".")[0])
    except Exception:  # noqa: BLE001 - it is tried again
        return False
    return True


def start(
    here: Installation, services: Iterable[str], machine: AbstractContextManager[None] | None = None
) -> Installation:
    """Starts all of it but Redis: simulators, a worker per service that notes what it runs, beat and the portal.

    Workers and beat are started within `machine`. Raises CannotStart.
    """
    os.environ[recording.NOTES] = str(here.directory / "notes.jsonl")
    here.start_simulators()
    with machine or nullcontext():
        workers = [here.start_worker(name, None, "-I", recording.__name__) for name in services]
        here.start_beat()
    here.start_portal()
    for worker in workers:
        wait_for(lambda worker=worker: worker.has_logged("worker_ready"), worker.name)
    return here
