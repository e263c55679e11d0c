"""Admission in one process's memory, step by step and figure by figure: what each limit means."""

from datetime import timedelta

import pytest

from redis_admission.local_state import LocalState
from redis_admission.model import Admitted, Limits, NoBudget, Outcome, Override, Refused, Rules, State, Wait

START = 1_700_000_000_000
LEASE, WAITER_TTL = 60_000, 400
OK, SLOW, FAILURE, THROTTLED = Outcome.OK, Outcome.SLOW, Outcome.FAILURE, Outcome.THROTTLED


def seconds(number):
    return timedelta(seconds=number)


class Machine:
    """A machine with a clock that stands still."""

    def __init__(self, **limits):
        chosen = {
            "window": seconds(10), "minimum_calls": 4, "failure_rate": 0.5, "slow_call_rate": 0.75,
            "consecutive_failures": 3, "open_for": seconds(2), "open_at_most": seconds(7), "probes": 2,
            "max_in_flight": 4, "recovery": seconds(5),
        }  # fmt: skip
        self.now = START
        self.machine = LocalState(Rules.of("udb", Limits(**chosen | limits)), lambda: self.now)
        self._names = iter(map(str, range(10**6)))

    def enter(self, name=None, *, is_retry=False):
        return self.machine.enter(name or next(self._names), LEASE, is_retry=is_retry, waiter_ttl=WAITER_TTL)

    def call(self, outcome):
        name = next(self._names)
        admitted = self.enter(name)
        return self.machine.record(name, admitted.generation, admitted.at, outcome)

    def calls(self, *outcomes):
        return [self.call(outcome) for outcome in outcomes]


def test_so_many_failures_in_a_row_open_it_and_an_answer_between_them_does_not():
    machine = Machine(minimum_calls=100)
    assert machine.calls(FAILURE, FAILURE, OK, FAILURE, FAILURE, SLOW, FAILURE, FAILURE) == [None] * 8
    assert machine.call(FAILURE) is State.OPEN


def test_a_share_of_failures_opens_it_once_there_are_enough_calls():
    machine = Machine(consecutive_failures=100)
    assert machine.calls(FAILURE, OK, FAILURE) == [None] * 3
    assert machine.call(FAILURE) is State.OPEN
    machine = Machine(consecutive_failures=100)
    assert machine.calls(OK, OK, OK, FAILURE, FAILURE) == [None] * 5
    assert machine.call(FAILURE) is State.OPEN


def test_a_share_of_slow_answers_opens_it():
    machine = Machine()
    assert machine.calls(OK, SLOW, SLOW) == [None] * 3
    assert machine.call(SLOW) is State.OPEN


def test_a_slow_answer_is_no_failure_and_a_failure_no_slow_answer():
    machine = Machine(consecutive_failures=100)
    assert machine.calls(OK, OK, SLOW, SLOW) == [None] * 4
    machine = Machine(consecutive_failures=100, failure_rate=1.0, slow_call_rate=0.5)
    assert machine.calls(OK, OK, FAILURE, FAILURE) == [None] * 4


def test_what_is_older_than_the_window_no_longer_counts():
    machine = Machine(consecutive_failures=100)
    assert machine.calls(FAILURE, FAILURE, FAILURE) == [None] * 3
    machine.now += 10_000
    assert machine.calls(OK, OK, OK, FAILURE) == [None] * 4
    machine.now += 8_000
    assert machine.calls(OK, OK, FAILURE, FAILURE, FAILURE) == [None] * 5
    assert machine.call(FAILURE) is State.OPEN


def test_it_stays_open_for_twice_as_long_each_time_up_to_a_limit():
    machine = Machine()
    machine.calls(FAILURE, FAILURE, FAILURE)
    for seconds in (2, 4, 7, 7):
        assert machine.enter() == Refused(State.OPEN, seconds * 1000)
        machine.now += seconds * 1000 - 1
        assert machine.enter() == Refused(State.OPEN, 1)
        machine.now += 1
        generation = machine.machine.generation
        probe = machine.enter("probe")
        assert probe == Admitted(generation + 1, State.HALF_OPEN, machine.now)
        assert machine.machine.record("probe", probe.generation, probe.at, FAILURE) is State.OPEN


def test_half_open_lets_a_few_probes_through_and_closes_when_all_are_answered():
    machine = Machine()
    machine.calls(FAILURE, FAILURE, FAILURE)
    machine.now += 2000
    one, two = machine.enter("one"), machine.enter("two")
    assert (one.changed, two.changed) == (State.HALF_OPEN, None)
    assert machine.enter() == Refused(State.HALF_OPEN, LEASE)
    assert machine.machine.record("one", one.generation, one.at, OK) is None
    assert machine.machine.state is State.HALF_OPEN
    assert machine.machine.record("two", two.generation, two.at, OK) is State.CLOSED
    machine.calls(FAILURE, FAILURE, FAILURE)
    assert machine.enter() == Refused(State.OPEN, 2000)


def test_a_probe_whose_lease_is_over_makes_room_for_another():
    machine = Machine()
    machine.calls(FAILURE, FAILURE, FAILURE)
    machine.now += 2000
    machine.enter(), machine.enter()
    machine.now += LEASE - 1
    assert machine.enter() == Refused(State.HALF_OPEN, 1)
    machine.now += 1
    assert isinstance(machine.enter(), Admitted)


def test_a_slow_probe_opens_it_again_and_a_late_result_changes_nothing():
    machine = Machine()
    early = machine.enter("early")
    machine.calls(FAILURE, FAILURE, FAILURE)
    machine.now += 2000
    probe = machine.enter("probe")
    assert machine.machine.record("early", early.generation, early.at, FAILURE) is None
    assert machine.machine.record("probe", probe.generation, probe.at, SLOW) is State.OPEN
    assert machine.enter() == Refused(State.OPEN, 4000)


def test_only_so_many_calls_are_under_way_and_who_waits_is_served_in_order():
    machine = Machine(max_in_flight=2)
    machine.enter("one"), machine.enter("two")
    assert machine.machine.in_flight == 2
    assert (machine.enter("three"), machine.enter("four")) == (Wait(0), Wait(0))
    machine.machine.record("one", 1, START, OK)
    assert machine.enter("four") == Wait(0)
    assert isinstance(machine.enter("three"), Admitted)
    machine.machine.leave("four")
    machine.machine.record("two", 1, START, OK)
    assert isinstance(machine.enter("five"), Admitted)


def test_who_asks_no_more_is_waited_for_no_longer():
    machine = Machine(max_in_flight=1)
    machine.enter("one")
    assert machine.enter("gone") == Wait(0)
    machine.machine.record("one", 1, START, OK)
    machine.now += WAITER_TTL - 1
    assert machine.enter("two") == Wait(0)
    machine.now += 1
    assert isinstance(machine.enter("two"), Admitted)


def test_only_so_many_calls_begin_in_a_second():
    machine = Machine(calls_per_second=2, max_in_flight=100)
    assert [type(machine.enter()) for _ in range(2)] == [Admitted, Admitted]
    assert machine.enter("waits") == Wait(500)
    assert machine.enter("behind") == Wait(1000)
    machine.now += 300
    assert (machine.enter("waits"), machine.enter("behind")) == (Wait(200), Wait(700))
    machine.now += 200
    assert machine.enter("behind") == Wait(500)
    assert isinstance(machine.enter("waits"), Admitted)


def test_a_wait_is_rounded_up_so_that_who_comes_back_after_it_is_let_in():
    machine = Machine(calls_per_second=3, max_in_flight=100)
    assert [type(machine.enter()) for _ in range(3)] == [Admitted] * 3
    assert machine.enter("waits") == Wait(334)
    machine.now += 334
    assert isinstance(machine.enter("waits"), Admitted)


def test_what_began_before_the_breaker_opened_says_nothing_once_it_has_closed():
    machine = Machine(max_in_flight=100)
    early = [(str(n), machine.enter(str(n))) for n in range(3)]
    assert machine.calls(FAILURE, FAILURE, FAILURE)[-1] is State.OPEN
    machine.now += 2000
    assert machine.calls(OK, OK)[-1] is State.CLOSED
    assert [machine.machine.record(name, one.generation, one.at, FAILURE) for name, one in early] == [None] * 3
    assert machine.machine.state is State.CLOSED


def test_an_upstream_that_takes_a_call_every_other_second_gets_no_two_at_once():
    machine = Machine(calls_per_second=0.5)
    assert isinstance(machine.enter(), Admitted)
    assert machine.enter("next") == Wait(2000)
    machine.now += 2000
    assert isinstance(machine.enter("next"), Admitted)


def test_too_many_requests_halve_what_is_allowed_once_and_it_grows_back():
    machine = Machine(max_in_flight=8)
    entered = [machine.enter(str(n)) for n in range(4)]
    machine.now += 1
    assert [machine.machine.record(str(n), 1, one.at, THROTTLED) for n, one in enumerate(entered)] == [None] * 4

    def places():
        admitted = 0
        while isinstance(machine.enter(f"{machine.now}-{admitted}"), Admitted):
            admitted += 1
        for n in range(admitted):
            machine.machine.record(f"{machine.now}-{n}", 1, machine.now, Outcome.IGNORED)
        machine.machine.leave(f"{machine.now}-{admitted}")
        return admitted

    seen = []
    for _ in range(6):
        seen.append(places())
        machine.now += 1250
    assert seen == [4, 6, 8, 8, 8, 8]


@pytest.mark.parametrize(("calls", "retries"), [(0, 3), (10, 3), (40, 8), (100, 20)])
def test_a_fifth_of_the_calls_of_ten_seconds_may_be_repeats_and_three_always(calls, retries):
    machine = Machine(max_in_flight=1000)
    for _ in range(calls):
        machine.enter()
    allowed = 0
    while isinstance(machine.enter(is_retry=True), Admitted):
        allowed += 1
    assert allowed == retries
    assert machine.enter(is_retry=True) == NoBudget()
    machine.now += 10_000
    assert isinstance(machine.enter(is_retry=True), Admitted)


def test_an_outcome_that_forces_it_open_does_so_until_an_operator_lifts_that():
    machine = Machine()
    assert machine.call(Outcome.FORCE_OPEN) is Override.FORCED_OPEN
    assert machine.enter() == Refused(Override.FORCED_OPEN, None)
    assert machine.machine.record("late", 2, START, Outcome.FORCE_OPEN) is None
    machine.machine.set_override(None)
    assert isinstance(machine.enter(), Admitted)


@pytest.mark.parametrize("override", [Override.DISABLED, Override.METRICS_ONLY])
def test_a_breaker_that_is_switched_off_lets_everything_through(override):
    machine = Machine()
    machine.calls(FAILURE, FAILURE, FAILURE)
    machine.machine.set_override(override)
    assert machine.calls(*[FAILURE] * 10) == [None] * 10
    machine.machine.set_override(None)
    machine.calls(FAILURE, FAILURE, FAILURE)
    assert machine.enter() == Refused(State.OPEN, 2000)


def test_an_open_breaker_is_taken_over_unless_something_else_is_in_force():
    machine = Machine()
    machine.machine.adopt_open(1500)
    assert machine.enter() == Refused(State.OPEN, 1500)
    machine.machine.adopt_open(9000)
    assert machine.enter() == Refused(State.OPEN, 1500)
    machine = Machine()
    machine.machine.set_override(Override.DISABLED)
    machine.machine.adopt_open(1500)
    assert isinstance(machine.enter(), Admitted)
