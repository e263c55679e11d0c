"""Our side of admission: our errors, deadlines, settings, logs and metrics, over the ledger and the coordination."""

import asyncio
from datetime import timedelta

import pytest

from config.settings import AdmissionSettings
from redis_admission import Limits, Outcome, Override, OverrideOrder, Rejected, RejectionKind, State
from registerbro.storage.ledger.overrides import Overrides
from registerbro.telemetry import metrics
from registerbro.upstreams import admission, deadline, errors
from registerbro.upstreams.admission import Uncounted, UpstreamAdmission, error_of, limits_of, outcome_of

QUICK = timedelta(milliseconds=1)
ATTEMPT = timedelta(seconds=4)


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """A busy machine's Redis is waited for, so that what is decided is what all processes decide together."""
    monkeypatch.setattr(admission, "REDIS_TIMEOUT", 20.0)


@pytest.fixture
def make_admission(coordination, ledger):
    """Makes what a process has for one upstream; several are several processes."""

    def make(**settings):
        chosen = AdmissionSettings(**settings)
        return UpstreamAdmission.of("udb", chosen, coordination, Overrides(ledger), attempt=ATTEMPT)

    return make


async def call(ours, error=None, took=QUICK):
    permit = await ours.enter(is_retry=False)
    await ours.record(permit, error, took)


async def fail(ours, times=5):
    for _ in range(times):
        await call(ours, errors.UpstreamTimeout())


async def refused(ours):
    with pytest.raises(errors.CircuitOpen) as caught:
        await ours.enter(is_retry=False)
    return caught.value.retry_after


async def test_a_breaker_that_opens_is_one_log_line_and_one_metric_and_refuses_as_our_error(make_admission, logged):
    one, other = make_admission(), make_admission()
    opened = metrics.BREAKER_CHANGES.labels("udb", "open")
    before = opened._value.get()
    await fail(one)
    assert timedelta(0) < await refused(other) <= timedelta(seconds=5)
    assert opened._value.get() == before + 1
    assert logged == [{"event": "breaker_changed", "log_level": "warning", "upstream": "udb", "state": "open"}]
    assert (await other.status())["failure"] == "timeout"


async def test_slow_answers_count_by_the_setting(make_admission):
    ours = make_admission(minimum_calls=4, slow_call_rate=0.75, slow_call=timedelta(seconds=2))
    for took in (QUICK, *[timedelta(seconds=2)] * 3):
        await call(ours, took=took)
    await refused(ours)


async def test_another_persons_answer_cuts_everybody_off_at_once_and_on_the_ledger(make_admission, ledger, logged):
    one, other = make_admission(), make_admission()
    await other.check()
    await call(one, errors.WrongPerson())
    with pytest.raises(errors.CircuitOpen, match=r"^forced open until a person lifts it$") as caught:
        await other.enter(is_retry=False)
    assert caught.value.retry_after is None
    with pytest.raises(errors.CircuitOpen, match=r"^forced open until a person lifts it$"):
        await other.check()
    assert logged == [{"event": "breaker_changed", "log_level": "critical", "upstream": "udb", "state": "forced_open"}]
    kept, seen = await Overrides(ledger).get("udb"), await other.status()
    assert (kept.override, kept.by, kept.reason) == (Override.FORCED_OPEN, "registerbro", "wrong_person")
    assert (seen["override_by"], seen["override_reason"]) == ("registerbro", "wrong_person")


async def test_an_operator_is_told_when_a_cut_cannot_be_kept_on_the_ledger(make_admission, empty_redis, logged):
    ours = make_admission()
    permit = await ours.enter(is_retry=False)
    empty_redis["ledger"].process.kill()
    await ours.record(permit, errors.WrongPerson(), QUICK)
    empty_redis["ledger"].start()
    told = [line for line in logged if line["event"] == "override_not_on_ledger"]
    assert [(line["log_level"], line["upstream"]) for line in told] == [("critical", "udb")]
    assert told[0]["detail"] in {"ConnectionError", "TimeoutError"}
    assert await refused(make_admission()) is None


async def test_a_cut_outlives_an_empty_coordination_until_an_operator_lifts_it(make_admission, coordination):
    ours = make_admission()
    await call(ours, errors.WrongPerson())
    await coordination.flushall()
    assert await refused(make_admission()) is None
    await ours.set_override(None)
    await call(ours)
    await ours.check()


async def test_an_operators_order_is_on_the_ledger_with_who_gave_it(make_admission, ledger):
    order = OverrideOrder(Override.DISABLED, "Åse", 1_700_000_000_000, "påske", "aase")
    await make_admission().set_override(order)
    assert await Overrides(ledger).get("udb") == order


async def test_no_call_waits_longer_than_the_deadline_at_hand_allows(make_admission):
    ours = make_admission(max_in_flight=1)
    await ours.enter(is_retry=False)
    with (
        deadline.within(timedelta(milliseconds=200)),
        pytest.raises(errors.DeadlinePassed, match=r"^no place came free in time$"),
    ):
        await ours.enter(is_retry=False)


async def test_losing_redis_and_finding_it_again_is_logged_once_each(make_admission, empty_redis, logged):
    ours = make_admission()
    await call(ours)
    empty_redis["broker"].process.kill()
    await fail(ours, 3)
    empty_redis["broker"].start()
    ours.controller._ask_redis_at = 0.0
    await call(ours)
    await call(ours)
    told = {"upstream": "udb", "log_level": "warning"}
    assert logged == [
        told | {"event": "admission_without_redis", "detail": "ConnectionError"},
        told | {"event": "admission_redis_restored"},
    ]


async def test_a_redis_that_answers_other_commands_of_the_client_is_not_away(make_admission, coordination, monkeypatch):
    """A script keeps ours waiting for longer than Redis may be silent, and the client's other commands are answered."""
    monkeypatch.setattr(admission, "REDIS_TIMEOUT", 0.1)
    ours = make_admission()
    await call(ours)
    enter = ours.controller._redis_state.enter

    async def late(*arguments, **more):
        for _ in range(6):
            await asyncio.sleep(0.05)
            await coordination.ping()
        return await enter(*arguments, **more)

    monkeypatch.setattr(ours.controller._redis_state, "enter", late)
    permit = await ours.enter(is_retry=False)
    assert permit.shared_generation == 1


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, Outcome.OK),
        (errors.WrongPerson(), Outcome.FORCE_OPEN),
        (errors.RateLimited(), Outcome.THROTTLED),
        (errors.UpstreamUnavailable(), Outcome.FAILURE),
        (errors.ConnectionLost(), Outcome.FAILURE),
        (errors.UpstreamTimeout(), Outcome.FAILURE),
        (errors.InvalidResponse(), Outcome.FAILURE),
        (errors.BadRequest(), Outcome.IGNORED),
        (errors.NotAuthorised(), Outcome.IGNORED),
        (errors.TooLong(), Outcome.IGNORED),
        (errors.NotAudited(), Outcome.IGNORED),
        (errors.DeadlinePassed(), Outcome.IGNORED),
        (ValueError(), Outcome.IGNORED),
        (asyncio.CancelledError(), Outcome.IGNORED),
    ],
)
def test_only_failures_of_the_upstream_count_against_it(error, outcome):
    assert outcome_of(error) is outcome


@pytest.mark.parametrize("kind", RejectionKind)
def test_every_rejection_has_an_error_of_our_tree(kind):
    error = error_of(Rejected(kind, timedelta(seconds=7)))
    expected = {
        RejectionKind.OPEN: (errors.CircuitOpen, "open", timedelta(seconds=7)),
        RejectionKind.HALF_OPEN: (errors.CircuitOpen, "half_open", timedelta(seconds=7)),
        RejectionKind.FORCED_OPEN: (errors.CircuitOpen, "forced open until a person lifts it", None),
        RejectionKind.RETRY_BUDGET: (errors.RetryBudgetSpent, "retry_budget", None),
        RejectionKind.WAIT_LIMIT: (errors.DeadlinePassed, "no place came free in time", None),
    }
    assert (type(error), str(error), error.retry_after) == expected[kind]


def test_the_librarys_defaults_are_those_of_our_settings():
    """So docs/breaker.md tells of both."""
    assert limits_of(AdmissionSettings(), timedelta(seconds=28)) == Limits()


def test_a_permit_is_leased_for_two_seconds_beyond_the_attempt():
    assert limits_of(AdmissionSettings(probes=7), ATTEMPT) == Limits(probes=7, lease=timedelta(seconds=6))


def test_states_and_overrides_are_told_by_their_own_names():
    assert [*State, *Override] == ["closed", "open", "half_open", "forced_open", "disabled", "metrics_only"]


async def test_a_call_by_hand_counts_for_nothing_and_gives_its_place_back(make_admission):
    ours = make_admission(max_in_flight=1, consecutive_failures=1)
    by_hand = Uncounted(ours)
    for error in (errors.UpstreamTimeout(), errors.RateLimited(), errors.WrongPerson(), None):
        await call(by_hand, error)
    await call(ours)
    await by_hand.check()


async def test_a_call_by_hand_is_not_made_while_the_breaker_is_open_or_forced_open(make_admission):
    ours = make_admission()
    await fail(ours)
    await refused(Uncounted(make_admission()))
    await ours.set_override(OverrideOrder(Override.FORCED_OPEN, "Åse", 1_700_000_000_000, "påske", "aase"))
    await refused(Uncounted(make_admission()))
    await ours.set_override(OverrideOrder(Override.DISABLED, "Åse", 1_700_000_000_000, "påske", "aase"))
    await call(Uncounted(make_admission()))
