"""When a call is made again: whether, after how long, and not when the time for it is up."""

from datetime import timedelta

import pytest
from tenacity import Future, RetryCallState

from registerbro.upstreams import deadline, errors, retry
from registerbro.upstreams.retry import AgainByError, error_of, jittered_wait, would_pass_deadline


def after(error=None, attempt=1, upcoming_sleep=0.0):
    """What tenacity knows after so many attempts, the last of which ended so."""
    state = RetryCallState(retry_object=None, fn=None, args=(), kwargs={})
    state.attempt_number, state.upcoming_sleep = attempt, upcoming_sleep
    state.outcome = Future(attempt)
    if error is None:
        state.outcome.set_result("an answer")
    else:
        state.outcome.set_exception(error)
    return state


@pytest.fixture
def longest(monkeypatch):
    """Chance draws the longest wait that it may."""
    monkeypatch.setattr(retry.random, "uniform", lambda shortest, longest: longest + 1000 * shortest)


@pytest.mark.usefixtures("longest")
@pytest.mark.parametrize(("attempt", "seconds"), [(1, 0.2), (2, 0.4), (3, 0.8), (4, 1.6), (5, 2.0), (50, 2.0)])
def test_a_wait_may_be_twice_as_long_after_each_attempt_up_to_two_seconds(attempt, seconds):
    assert jittered_wait(after(errors.ConnectionLost(), attempt)) == pytest.approx(seconds)


@pytest.mark.usefixtures("longest")
def test_what_the_upstream_asks_for_comes_before_the_jitter():
    error = errors.RateLimited(retry_after=timedelta(seconds=7))
    assert jittered_wait(after(error)) == pytest.approx(7.2)


@pytest.mark.usefixtures("longest")
@pytest.mark.parametrize("error", [errors.CircuitOpen(retry_after=timedelta(seconds=7)), ZeroDivisionError(), None])
def test_only_a_call_that_failed_can_ask_for_a_wait(error):
    assert jittered_wait(after(error)) == pytest.approx(0.2)


@pytest.mark.parametrize(("sleep", "passes"), [(4.9, False), (5.0, True), (5.1, True)])
def test_a_wait_that_takes_all_that_is_left_is_not_begun(monkeypatch, sleep, passes):
    monkeypatch.setattr(deadline, "remaining", lambda: 5.0)
    assert would_pass_deadline(after(errors.ConnectionLost(), upcoming_sleep=sleep)) is passes


def test_without_an_outcome_nothing_has_failed():
    assert error_of(RetryCallState(retry_object=None, fn=None, args=(), kwargs={})) is None


@pytest.mark.parametrize(
    ("ended_with", "again"),
    [
        ([errors.ConnectionLost(), errors.ConnectionLost(), errors.ConnectionLost()], [True, True, True]),
        ([errors.InvalidResponse(), errors.InvalidResponse()], [True, False]),
        ([errors.TooLong()], [False]),
        ([errors.RequestIdUsed(), errors.RequestIdUsed()], [True, False]),
        ([errors.InvalidResponse(), errors.RequestIdUsed(), errors.InvalidResponse()], [True, True, False]),
        ([errors.InvalidResponse(), errors.UpstreamTimeout(), errors.InvalidResponse()], [True, True, False]),
        ([errors.BadRequest()], [False]),
        ([errors.WrongPerson()], [False]),
        ([errors.CircuitOpen()], [False]),
        ([ZeroDivisionError()], [False]),
        ([None], [False]),
    ],
)
def test_each_error_is_repeated_as_often_as_its_class_says(ended_with, again):
    decides = AgainByError()
    assert [decides(after(error)) for error in ended_with] == again
