"""What every measurement needs: rows with their targets, the light upstream, processes on a core, and their costs."""

import asyncio
import ctypes
import os
import signal
import sys
import tempfile
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from statistics import median
from types import FrameType
from typing import Any, Literal, Self, TypeVar

import psutil
from redis import Redis

from config import logging
from config.settings import settings
from demo.installation import Installation, Process, free_port, installation, listens, wait_for
from registerbro.services import Services
from simulators.eindkomst import PATH as EINDKOMST_PATH

T, R = TypeVar("T"), TypeVar("R")
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
"""Of Linux' prctl."""
CORES = sorted(os.sched_getaffinity(0))
MARK = "held: "
"""With what a line of bench/watched.py begins."""
CPR_HEADER = "x-civilRegistrationIdentifier"
REGISTERS = ("udb", "su", "eindkomst", "ydelse")
"""The registers of the page; bench/upstream.py answers for all of them, and for CVR."""
NOT_ASKED = ("visitering", "kontaktforloeb", "jobsearch", "borgerindsats")
"""Registers that have a worker and no part in any measurement."""
SETTINGS = {
    **{f"{name.upper()}__ADMISSION__MAX_IN_FLIGHT": "2000" for name in (*REGISTERS, "cvr")},
    **{f"{name.upper()}__MAX_CONNECTIONS": "1000" for name in (*REGISTERS, "cvr")},
    **{f"{name.upper()}__SCHEDULED_PER_SECOND": "100000" for name in REGISTERS},
}
"""Limits that agreements with registers set, and that are therefore not what is measured. All other settings are the
product's defaults, its log lines among them."""


@dataclass(frozen=True)
class Spread:
    """Of several figures."""

    min: float
    median: float
    max: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """That of these."""
        return cls(*(round(value, 3) for value in (min(values), median(values), max(values))))


@dataclass(frozen=True)
class Target:
    """What a row's figure has to be."""

    is_: Literal["at least", "at most"]
    value: float
    unit: str = "×"

    def holds(self, figure: float) -> bool:
        """Whether it is."""
        return figure >= self.value if self.is_ == "at least" else figure <= self.value

    def __str__(self) -> str:
        return f"{'≥' if self.is_ == 'at least' else '≤'} {self.value:g} {self.unit}"


@dataclass(frozen=True)
class Row:
    """One row of the table: what was measured, beside what, and whether the target holds.

    `figure` is what the target is about: the median of the ratios of pairs that were measured one after the other, or,
    without a comparison, `ours`.
    """

    id: str
    name: str
    target: Target
    figure: float | None
    ours: float | None
    unit: str
    theirs: float | None = None
    against: str | None = None
    ratio: Spread | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def compared(  # noqa: PLR0917
        cls, id_: str, name: str, target: Target, pairs: Sequence[tuple[float, float]], unit: str, against: str,
        **details: Any,  # noqa: ANN401 - whatever explains the figures
    ) -> Self:  # fmt: skip
        """A row of pairs, ours first; the target is about the ratio of the two."""
        ratio = Spread.of([ours / theirs for ours, theirs in pairs])
        ours, theirs = (round(median(side), 3) for side in zip(*pairs, strict=True))
        told = {"pairs": [[round(one, 3) for one in pair] for pair in pairs], **details}
        return cls(id_, name, target, ratio.median, ours, unit, theirs, against, ratio, told)

    @classmethod
    def alone(cls, id_: str, name: str, target: Target, ours: float, unit: str, **details: Any) -> Self:  # noqa: ANN401
        """A row whose target is about our own figure."""
        return cls(id_, name, target, round(ours, 3), round(ours, 3), unit, details=details)

    @property
    def holds(self) -> bool:
        """Whether the target is reached; not when there is no figure."""
        return self.figure is not None and self.target.holds(self.figure)

    def as_json(self) -> dict[str, Any]:
        """As it stands in the results."""
        return {**asdict(self), "target": str(self.target), "target_value": self.target.value, "holds": self.holds,
                "better": "more" if self.target.is_ == "at least" else "less"}  # fmt: skip


class Upstream:
    """bench/upstream.py as a process."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        command = [sys.executable, "-m", "bench.upstream", str(self.port)]
        self._process = Process("upstream", command, directory / "upstream.log", {})

    @property
    def url(self) -> str:
        """Where every register is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def process(self) -> psutil.Process:
        """The process that it is."""
        return psutil.Process(self._process.popen.pid)

    def start(self) -> Self:
        """Returns when it listens."""
        self._process.start()
        wait_for(lambda: listens(self.port) or self._process.has_logged("\0"), "upstream")
        return self

    def stop(self) -> None:
        """Ends it."""
        self._process.stop()

    def tell(self, what: str) -> bytes:
        """One of the paths under /-/."""
        with urllib.request.urlopen(f"{self.url}/-/{what}", timeout=10) as answer:  # noqa: S310 - it is our own
            return bytes(answer.read())

    @property
    def calls(self) -> int:
        """How many calls it has had."""
        return int(self.tell("calls"))


@contextmanager
def installed(own: Mapping[str, str] | None = None) -> Iterator[tuple[Installation, Upstream]]:
    """An installation with its Redis servers; its registers are the light upstream, and its settings this process's."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        upstream = Upstream(Path(directory))
        with installation(Path(directory), {**SETTINGS, **(own or {})}) as here:
            try:
                upstream.start()
                here.start_redis()
                here.upstreams = dict.fromkeys((*REGISTERS, *NOT_ASKED, "cvr", "booking_vendor"), upstream.url)
                here.upstreams["eindkomst"] += EINDKOMST_PATH
                os.environ.update(here.environment)
                settings.cache_clear()
                logging.configure("ERROR")
                from workers import app  # noqa: F401, PLC0415 - importing it connects this process to the broker

                yield here, upstream
            finally:
                upstream.stop()


def start_workers(here: Installation, names: Iterable[str], *arguments: str) -> list[Process]:
    """Starts a worker for each of these services, and returns when all of them wait for work."""
    workers = [here.start_worker(name, None, *arguments) for name in names]
    with here.redis["broker"].client() as broker:
        wait_for(
            lambda: (
                sum(one["cmd"] == "brpop" for one in broker.client_list()) >= len(workers)
                or any(worker.has_logged("\0") for worker in workers)
            ),
            "the workers",
        )
    return workers


def _numbered(*cores: int) -> set[int]:
    """Those of the machine's cores that may be used; on a machine with a single one, that."""
    return {CORES[core % len(CORES)] for core in cores}


@contextmanager
def on_core(*cores: int) -> Iterator[None]:
    """What is started in the block runs on these cores alone; on a machine with a single one, on that."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, _numbered(*cores))
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@asynccontextmanager
async def services() -> AsyncIterator[Services]:
    """What a process of ours has, by the settings of the installation."""
    ours = Services(settings())
    try:
        yield ours
    finally:
        await ours.close()


def failures(cache: Redis) -> int:
    """Entries that hold a failure and no data: they are stored too, and must not be taken for fetches."""
    failed = 0
    for keys in batched(cache.scan_iter("entry:*", count=1000), 1000):
        with cache.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.hexists(key, "data")
            failed += pipeline.execute().count(False)
    return failed


def batched(items: Iterable[T], size: int) -> Iterator[tuple[T, ...]]:
    """The items, so many at a time; itertools has it from Python 3.12 on."""
    rest = iter(items)
    while some := tuple(islice(rest, size)):
        yield some


class Tree:
    """A process and what it has started: stopped, continued and timed as one."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)

    def all(self) -> list[psutil.Process]:
        """The processes, the root first."""
        return [self._root, *self._root.children(recursive=True)]

    def cpu(self) -> float:
        """Seconds of processor time of all of them."""
        total = 0.0
        for process in self.all():
            with suppress(psutil.NoSuchProcess):
                total += sum(process.cpu_times()[:2])
        return total

    def memory(self) -> int:
        """Bytes of memory that are resident, shared pages counted once (PSS)."""
        return sum(process.memory_full_info().pss for process in self.all())

    def run_on(self, core: int) -> None:
        """Has all of them, and what they start from now on, run on this core alone, as `on_core` does."""
        for process in self.all():
            for thread in process.threads():
                with suppress(ProcessLookupError):
                    os.sched_setaffinity(thread.id, _numbered(core))

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to all of them."""
        for process in self.all():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)


@contextmanager
def contained() -> Iterator[None]:
    """What is started in the block, by whomever, ends with it: also when it is interrupted, or its parent is killed."""
    system = ctypes.CDLL(None)
    system.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    # What is orphaned below becomes a child of this process, so that it is found.
    system.prctl(PR_SET_CHILD_SUBREAPER, 1)
    signal.signal(signal.SIGTERM, _interrupted)
    try:
        yield
    finally:
        if left := stop_descendants():
            print(f"left behind, and ended: {left}", file=sys.stderr)


def _interrupted(_: int, __: FrameType | None) -> None:
    sys.exit(1)


def stop_descendants(within: float = 10) -> list[str]:
    """Ends whatever this process and its children have started and left, by their ids. Returns what it was."""
    left = psutil.Process().children(recursive=True)
    names = []
    for process in left:
        with suppress(psutil.NoSuchProcess):
            names.append(" ".join(process.cmdline())[:120])
            process.send_signal(signal.SIGCONT)
            process.terminate()
    _, alive = psutil.wait_procs(left, within)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, within)
    return names


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which this share of them lies."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


async def some_at_a_time(work: Callable[[T], Awaitable[R]], items: Iterable[T], at_once: int = 25) -> list[R]:
    """The results of `work` on each item, in no certain order, so many under way at once."""
    rest, results = iter(items), []

    async def worker() -> None:
        for item in rest:
            results.append(await work(item))  # noqa: PERF401 - they end in another order

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(worker())
    return results


async def until(condition: Callable[[], bool], within: float, what: str, every: float = 0.01) -> None:
    """Waits until it holds. Raises TimeoutError."""
    try:
        async with asyncio.timeout(within):
            while not condition():  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(every)
    except TimeoutError:
        raise TimeoutError(f"{what}: not within {within:.0f} s") from None
