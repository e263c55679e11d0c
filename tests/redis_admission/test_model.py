"""Limits and rules: what may be configured, and what the scripts get of it."""

import json
from datetime import timedelta

import pytest

from redis_admission import Limits, Rejected, RejectionKind
from redis_admission.model import Rules


def test_a_window_is_counted_in_tenths_of_whole_milliseconds():
    rules = Rules.of("udb", Limits(window=timedelta(seconds=1.005)))
    assert (rules.bucket, type(rules.bucket), rules.buckets) == (100, int, 10)
    assert Rules.of("udb", Limits(window=timedelta(milliseconds=1))).bucket == 1


def test_rules_are_the_limits_in_milliseconds():
    limits = Limits(
        open_for=timedelta(seconds=2), open_at_most=timedelta(minutes=3), recovery=timedelta(seconds=4.5),
        calls_per_second=0.5, retry_window=timedelta(seconds=20), retry_share=0.1, retry_minimum=0, least_factor=0.01,
    )  # fmt: skip
    assert json.loads(Rules.of("udb", limits).as_json()) == {
        "upstream": "udb", "bucket": 3000, "buckets": 10, "minimum_calls": 10, "failure_rate": 0.5,
        "slow_call_rate": 0.8, "consecutive_failures": 5, "open_for": 2000, "open_at_most": 180_000, "probes": 2,
        "max_in_flight": 50, "rate": 0.5, "burst": 1.0, "recovery": 4500, "least_factor": 0.01, "budget_window": 20,
        "budget_share": 0.1, "budget_floor": 0, "channel": "events:admission",
    }  # fmt: skip
    assert Rules.of("udb", Limits()).rate == 0
    assert Rules.of("udb", Limits(calls_per_second=20)).burst == 20


@pytest.mark.parametrize(
    "limits",
    [
        {"window": timedelta(0)}, {"open_for": timedelta(seconds=-1)}, {"lease": timedelta(0)}, {"probes": 0},
        {"minimum_calls": 0}, {"max_in_flight": 0}, {"consecutive_failures": 0}, {"calls_per_second": 0.0},
        {"failure_rate": 0.0}, {"failure_rate": 1.01}, {"slow_call_rate": 1.01}, {"least_factor": 1.01},
        {"retry_share": -0.1}, {"retry_share": 1.01}, {"retry_minimum": -1}, {"retry_window": timedelta(seconds=0.9)},
        {"slow_call": timedelta(0)}, {"recovery": timedelta(0)}, {"open_at_most": timedelta(0)}, {"least_factor": 0.0},
    ],
)  # fmt: skip
def test_limits_that_make_no_sense_are_refused_by_name(limits):
    with pytest.raises(ValueError, match=next(iter(limits))):
        Limits(**limits)


def test_limits_at_their_edges_are_taken():
    Limits(failure_rate=1.0, slow_call_rate=1.0, least_factor=1.0, retry_share=0.0, retry_minimum=0, probes=1)
    Limits(retry_share=1.0, retry_window=timedelta(seconds=1))


@pytest.mark.parametrize("kind", RejectionKind)
def test_a_rejection_says_why_and_for_how_long(kind):
    rejection = Rejected(kind, timedelta(seconds=3))
    assert (str(rejection), rejection.kind, rejection.retry_after) == (kind.value, kind, timedelta(seconds=3))
    assert Rejected(kind).retry_after is None
