"""Call pipeline of one upstream: service window, deadline, retry, admission, audit record, HTTP call, reading.

A call never hurts a struggling upstream, and never takes longer than the fetch's deadline.
"""

import asyncio
import copy
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Generic, Self, TypeVar

import structlog
from tenacity import AsyncRetrying, RetryCallState

from config.settings import UpstreamSettings
from domain.service_windows import closed_until
from redis_admission import Permit
from registerbro.telemetry import metrics, random_ids, trace
from registerbro.telemetry.trace import Kind, Span
from registerbro.upstreams import deadline
from registerbro.upstreams.admission import Admission
from registerbro.upstreams.answer_parsing import Reader
from registerbro.upstreams.credentials import Credentials
from registerbro.upstreams.errors import (
    AlreadyReceived,
    CallFailed,
    DeadlinePassed,
    NotCalled,
    RequestIdUsed,
    RetryBudgetSpent,
    ServiceWindow,
    TokenRefused,
    UpstreamError,
    WrongPerson,
)
from registerbro.upstreams.http_client import HttpClient
from registerbro.upstreams.look_up_log import LookUpTrail, Trail
from registerbro.upstreams.messages import Answer, HiddenHeaders, Question
from registerbro.upstreams.retry import AgainByError, error_of, jittered_wait, would_pass_deadline

log = structlog.get_logger()

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Exchange(Generic[T]):
    """A register's part of one call.

    `question` is given the call's request id, at most 46 characters, and makes the request. `read` makes the result of
    the answer, whatever its HTTP status, or raises the CallFailed that the answer means; of a long answer it does so in
    a thread, so that it may use what is given to it alone.

    A read has a new request id for each call. A write (`is_write`) keeps its id while the outcome of an earlier call is
    unknown, so that an upstream that remembers ids carries it out once.
    """

    question: Callable[[str], Question]
    read: Callable[[Answer], T]
    is_write: bool = False


class Upstream:
    """Calls one upstream, by way of the pipeline."""

    path: str
    """The upstream's PATH: where the adapter's calls go, below its base URL."""

    def __init__(
        self,
        name: str,
        settings: UpstreamSettings,
        http: HttpClient,
        admission: Admission,
        trail: Trail,
        *,
        credentials: Credentials | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.name = name
        self.path = settings.path
        self._settings = settings
        self._credentials = credentials or Credentials()
        self._http = http
        self._admission = admission
        self._trail = trail
        self._sleep = sleep
        self._reader = Reader(name)
        self._cutting_off: set[asyncio.Task[None]] = set()

    async def ask(self, exchange: Exchange[T]) -> T:
        """Makes the call, again where its error allows that. Raises UpstreamError: the last attempt's, or NotCalled."""
        self._check_service_window()
        trail = self._trail.look_up(self.name)
        attempts = _Attempts(self, exchange, trail)
        try:
            with trace.span(f"ask {self.name}"), deadline.within(self._settings.total_timeout):
                try:
                    return await attempts()
                except CallFailed as error:
                    # Most calls are answered, and tenacity costs as much as the rest of the protection.
                    attempts.repeat(error)
                return await self._retrying(attempts)(attempts)
        finally:
            trail.end()

    def by_hand(self, admission: Admission) -> Self:
        """The same upstream for calls that an operator makes by hand: under this admission, and never repeated.

        But for one whose access token was refused and is replaced, as a call's own part.
        """
        other = copy.copy(self)
        other._admission = admission  # noqa: SLF001 - of this class
        other._settings = self._settings.model_copy(update={"max_attempts": 1})  # noqa: SLF001
        return other

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.close()
        self._reader.close()

    def _retrying(self, attempts: "_Attempts[T]") -> AsyncRetrying:
        return AsyncRetrying(
            sleep=self._sleep,
            retry=AgainByError(),
            wait=jittered_wait,
            stop=partial(self._is_enough, attempts),
            before_sleep=self._note_retry,
            reraise=True,
        )

    def _is_enough(self, attempts: "_Attempts[T]", state: RetryCallState) -> bool:
        """Tenacity's `stop`."""
        most = self._settings.max_attempts + attempts.replaced
        return state.attempt_number >= most or would_pass_deadline(state)

    def _check_service_window(self) -> None:
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

    async def attempt(
        self, exchange: Exchange[T], request_id: str, trail: LookUpTrail, *, is_retry: bool, token_replaced: bool
    ) -> T:
        """One call, admitted, put on record, and then made. Raises UpstreamError.

        `token_replaced`: a call of this fetch was refused for its token before, so that a second refusal is one.
        """
        if deadline.remaining() <= 0:
            raise DeadlinePassed
        try:
            permit = await self._admission.enter(is_retry=is_retry)
        except NotCalled as spared:
            metrics.NOT_ADMITTED.labels(self.name, spared.reason).inc()
            raise
        ended_with: BaseException | None = None
        status: int | None = None
        began, is_on_record, is_called = time.monotonic(), False, False
        with trace.span(f"call {self.name}", Kind.CLIENT) as span:
            try:
                seconds = self._settings.attempt_timeout.total_seconds()
                # Before the record, which is of calls: without a token, no citizen is looked up.
                shown = await self._credentials.headers(_positive(min(seconds, deadline.remaining())))
                seconds -= time.monotonic() - began
                is_on_record = True
                await trail.call(request_id, span.context.trace_id)
                began = time.monotonic()
                seconds = _positive(min(seconds, deadline.remaining()))
                headers = HiddenHeaders({**shown, "x-requestId": request_id, trace.HEADER: span.context.header})
                is_called = True
                answers = [await self._http.send(exchange.question(request_id), headers, seconds)]
                status = answers[0].status
                if answers[0].status == 401 and not token_replaced and await self._credentials.replace(shown):
                    raise TokenRefused("HTTP 401")
                left = seconds - (time.monotonic() - began)
                # Popped, so that only the reader keeps the answer alive.
                return await self._reader.read(
                    exchange.read, answers.pop(), left, lambda error: self._handle_late_error(permit, error, request_id)
                )
            except BaseException as error:
                ended_with = error
                if isinstance(error, CallFailed) and (status is not None or not is_called):
                    # Before the call it is a token's endpoint that failed, and nothing was sent to the upstream.
                    error.sent, error.status = is_called, status
                _forget_the_answer(error)
                raise
            finally:
                took = timedelta(seconds=time.monotonic() - began)
                if is_on_record:
                    trail.answered("answered" if ended_with is None else _reason(ended_with))
                await self._admission.record(permit, ended_with, took)
                self._report(span, ended_with, took, request_id)
                # It holds this frame, and would be held by it, until the garbage collector comes round.
                ended_with = None

    def _handle_late_error(self, permit: Permit, error: BaseException, request_id: str) -> None:
        """Handles the error of an answer whose caller has gone: another person's still cuts the upstream off (R7)."""
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
        span.set_attributes(upstream=self.name, outcome=outcome, request_id=request_id)
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

    The failure lives as long as its task, and longer in a log or test that holds it; with it would live the parsed
    answer in those frames, up to a hundred MiB of a hostile one. A defect keeps its frames, for a debugger.
    """
    if isinstance(error, UpstreamError):
        traceback.clear_frames(error.__traceback__)


def _positive(seconds: float) -> float:
    """So many seconds. Raises DeadlinePassed when there are none."""
    if seconds <= 0:
        raise DeadlinePassed
    return seconds


def _reason(error: BaseException) -> str:
    if isinstance(error, UpstreamError):
        return error.reason
    return "cancelled" if isinstance(error, asyncio.CancelledError) else "defect"


class _Attempts(Generic[T]):
    """The attempts of one `ask`, and their request ids; `replaced` counts those that another request replaces."""

    def __init__(self, upstream: Upstream, exchange: Exchange[T], trail: LookUpTrail) -> None:
        self._upstream = upstream
        self._exchange = exchange
        self._trail = trail
        self.replaced = 0
        self._unsettled_id: str | None = None
        self._token_replaced = False
        self._last_failure: CallFailed | None = None
        self._to_repeat: CallFailed | None = None

    def repeat(self, error: CallFailed) -> None:
        """The next attempt is the last one again, and ends with this error."""
        self._to_repeat = error

    async def __call__(self) -> T:
        if self._to_repeat is not None:
            failed_with, self._to_repeat = self._to_repeat, None
            raise failed_with
        request_id = self._unsettled_id or random_ids.request_id()
        try:
            return await self._upstream.attempt(
                self._exchange,
                request_id,
                self._trail,
                is_retry=self._last_failure is not None and not self._last_failure.is_replaced,
                token_replaced=self._token_replaced,
            )
        except RetryBudgetSpent as spent:
            raise (self._last_failure or spent) from None
        except RequestIdUsed as used:
            if self._unsettled_id is None or self._last_failure is None:
                self._note(used)
                raise
            failure = AlreadyReceived(str(used), lost=self._last_failure)
            self._note(failure)
        except CallFailed as error:
            if self._exchange.is_write and error.outcome_unknown:
                self._unsettled_id = request_id
            self._note(error)
            raise
        raise failure

    def _note(self, error: CallFailed) -> None:
        self._last_failure = error
        self.replaced += error.is_replaced
        self._token_replaced = self._token_replaced or isinstance(error, TokenRefused)
