"""One upstream as a register sees it: `ask` goes through window, deadline, retry, admission, record and time-out."""

import asyncio
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

import structlog
from tenacity import AsyncRetrying, RetryCallState

from config.settings import UpstreamSettings
from config.windows import closed_until
from workers import metrics, names, trace
from workers.resilience import deadline
from workers.resilience.admission import Admission, Permit
from workers.resilience.client import Answer, HttpClient, Question
from workers.resilience.errors import (
    CallFailed,
    DeadlinePassed,
    NotCalled,
    RetryBudgetSpent,
    ServiceWindow,
    UpstreamError,
    WrongPerson,
)
from workers.resilience.reading import Reader
from workers.resilience.retry import AgainByError, error_of, jittered_wait, would_pass_deadline
from workers.resilience.trail import LookUpTrail, Trail
from workers.trace import Kind, Span

log = structlog.get_logger()

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Exchange(Generic[T]):
    """What a register supplies for one call.

    `question` is given the call's request id, at most 46 characters, and makes the request. `read` makes the result of
    the answer, whatever its HTTP status, or raises the CallFailed that the answer means; of a long answer it does so in
    a thread, so that it may use what is given to it alone.
    """

    question: Callable[[str], Question]
    read: Callable[[Answer], T]


class Upstream:
    """Asks one upstream, and makes sure that asking never hurts it, nor makes anyone wait past the deadline."""

    def __init__(
        self,
        name: str,
        settings: UpstreamSettings,
        http: HttpClient,
        admission: Admission,
        trail: Trail,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.name = name
        self._settings = settings
        self._http = http
        self._admission = admission
        self._trail = trail
        self._sleep = sleep
        self._reader = Reader(name)
        self._cutting_off: set[asyncio.Task[None]] = set()

    async def ask(self, exchange: Exchange[T]) -> T:
        """The result of `exchange`. Raises UpstreamError: the last attempt's, or NotCalled when none was made."""
        self._stay_out_of_service_windows()
        trail = self._trail.look_up(self.name)
        attempts = _Attempts(self, exchange, trail)
        try:
            with trace.span(f"ask {self.name}"), deadline.within(self._settings.total_timeout):
                try:
                    return await attempts()
                except CallFailed as error:
                    # Most calls are answered, and tenacity costs as much as the rest of the protection.
                    attempts.repeat(error)
                return await self._retrying()(attempts)
        finally:
            trail.end()

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.close()
        self._reader.close()

    def _retrying(self) -> AsyncRetrying:
        return AsyncRetrying(
            sleep=self._sleep,
            retry=AgainByError(),
            wait=jittered_wait,
            stop=self._is_enough,
            before_sleep=self._note_retry,
            reraise=True,
        )

    def _is_enough(self, state: RetryCallState) -> bool:
        """Tenacity's `stop`."""
        return state.attempt_number >= self._settings.max_attempts or would_pass_deadline(state)

    def _stay_out_of_service_windows(self) -> None:
        """Raises ServiceWindow while the upstream is closed as planned."""
        now = datetime.now(UTC)
        until = closed_until(self._settings.service_windows, now)
        if until is not None:
            metrics.NOT_ADMITTED.labels(self.name, ServiceWindow.reason).inc()
            raise ServiceWindow(retry_after=until - now)

    def _note_retry(self, state: RetryCallState) -> None:
        error = error_of(state)
        if isinstance(error, CallFailed):
            metrics.RETRIES.labels(self.name, error.reason).inc()

    async def attempt(self, exchange: Exchange[T], request_id: str, trail: LookUpTrail, *, is_retry: bool) -> T:
        """One call, admitted, put on record, and then made. Raises UpstreamError."""
        if deadline.remaining() <= 0:
            raise DeadlinePassed
        try:
            permit = await self._admission.enter(is_retry=is_retry)
        except NotCalled as spared:
            metrics.NOT_ADMITTED.labels(self.name, spared.reason).inc()
            raise
        ended_with: BaseException | None = None
        began = time.monotonic()
        with trace.span(f"call {self.name}", Kind.CLIENT) as span:
            try:
                await trail.call(request_id, span.context.trace_id)
                began = time.monotonic()
                seconds = min(self._settings.attempt_timeout.total_seconds(), deadline.remaining())
                if seconds <= 0:
                    raise DeadlinePassed
                headers = {"x-requestId": request_id, trace.HEADER: span.context.header}
                answers = [await self._http.send(exchange.question(request_id), headers, seconds)]
                left = seconds - (time.monotonic() - began)
                # Popped, so that nothing keeps the answer but who reads it.
                return await self._reader.read(
                    exchange.read, answers.pop(), left, lambda error: self._came_late(permit, error, request_id)
                )
            except BaseException as error:
                ended_with = error
                _forget_the_answer(error)
                raise
            finally:
                took = timedelta(seconds=time.monotonic() - began)
                trail.answered("answered" if ended_with is None else _reason(ended_with))
                await self._admission.record(permit, ended_with, took)
                self._report(span, ended_with, took, request_id)
                # It holds this frame, and would be held by it, until the garbage collector comes round.
                ended_with = None

    def _came_late(self, permit: Permit, error: BaseException, request_id: str) -> None:
        """What an answer meant for which nobody waits any more: another person's still cuts the upstream off (R7)."""
        if isinstance(error, WrongPerson):
            metrics.ALARMS.labels(self.name, error.reason).inc()
            log.critical(
                "upstream_alarm", upstream=self.name, outcome=error.reason, request_id=request_id, detail=str(error)
            )
            task = asyncio.create_task(self._admission.record(permit, error, timedelta(0)))
            self._cutting_off.add(task)
            task.add_done_callback(self._cutting_off.discard)

    def _report(self, span: Span, error: BaseException | None, took: timedelta, request_id: str) -> None:
        outcome = "answered" if error is None else _reason(error)
        span.note(upstream=self.name, outcome=outcome, request_id=request_id)
        if isinstance(error, NotCalled):
            metrics.NOT_ADMITTED.labels(self.name, outcome).inc()
            return
        metrics.CALLS.labels(self.name, outcome).inc()
        metrics.CALL_SECONDS.labels(self.name).observe(took.total_seconds())
        facts = {
            "upstream": self.name,
            "outcome": outcome,
            "seconds": round(took.total_seconds(), 3),
            "request_id": request_id,
        }
        if not isinstance(error, CallFailed):
            log.debug("upstream_called", **facts)
        elif error.alarm:
            metrics.ALARMS.labels(self.name, error.reason).inc()
            log.critical("upstream_alarm", detail=str(error), **facts)
        else:
            log.warning("upstream_call_failed", detail=str(error), **facts)


def _forget_the_answer(error: BaseException) -> None:
    """Empties the frames that a failure came through, but for those that still run.

    The failure is kept for as long as its task is, and longer by who tells of it: what was read of an answer, up to a
    hundred MiB that somebody made to be large, would be kept with it. A defect's frames are for who looks for it.
    """
    if isinstance(error, UpstreamError):
        traceback.clear_frames(error.__traceback__)


def _reason(error: BaseException) -> str:
    if isinstance(error, UpstreamError):
        return error.reason
    return "cancelled" if isinstance(error, asyncio.CancelledError) else "defect"


class _Attempts(Generic[T]):
    """The attempts of one `ask`: one request id for as long as the same request is repeated."""

    def __init__(self, upstream: Upstream, exchange: Exchange[T], trail: LookUpTrail) -> None:
        self._upstream = upstream
        self._exchange = exchange
        self._trail = trail
        self._request_id: str | None = None
        self._last_failure: CallFailed | None = None
        self._to_repeat: CallFailed | None = None

    def repeat(self, error: CallFailed) -> None:
        """The next attempt is the last one again, and ends with this error."""
        self._to_repeat = error

    async def __call__(self) -> T:
        if self._to_repeat is not None:
            failed_with, self._to_repeat = self._to_repeat, None
            raise failed_with
        request_id = self._request_id = self._request_id or names.request_id()
        try:
            is_retry = self._last_failure is not None
            return await self._upstream.attempt(self._exchange, request_id, self._trail, is_retry=is_retry)
        except RetryBudgetSpent as spent:
            raise (self._last_failure or spent) from None
        except CallFailed as error:
            self._last_failure = error
            if not error.same_request:
                self._request_id = None
            raise
