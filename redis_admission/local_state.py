"""Admission state of one upstream in the memory of one process: decides while Redis is away.

It decides exactly as the scripts do; a Hypothesis state machine compares both, step by step.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from redis_admission.model import Admitted, Decision, NoBudget, Outcome, Override, Refused, Rules, State, Wait


@dataclass
class LocalState:
    """Admission state of one upstream in memory, for one process.

    Args:
        rules: the upstream's rules.
        clock: returns the time in ms. When it goes back, the state's own time stands still until it goes on.
    """

    rules: Rules
    clock: Callable[[], int]
    state: State = State.CLOSED
    """The breaker's state."""
    override: Override | None = None
    """The override in force."""
    generation: int = 1
    """The breaker's generation: each change of state starts a new one."""
    _seen: int = 0
    _ahead: int = 0
    _opened: int = 0
    _open_until: float = 0
    _consecutive: int = 0
    _successes: int = 0
    _halved_at: int = 0
    _factor: float = 1.0
    _tat: float = 0
    """Theoretical arrival time of the next call, of the generic cell rate algorithm."""
    _window: Counter[tuple[str, int]] = field(default_factory=Counter)
    _budget: Counter[tuple[str, int]] = field(default_factory=Counter)
    _permits: dict[str, int] = field(default_factory=dict)
    _probes: dict[str, int] = field(default_factory=dict)
    _waiting: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._now()

    @property
    def in_flight(self) -> int:
        """Returns the number of calls under way."""
        self._permits = _alive(self._permits, self._now())
        return len(self._permits)

    def enter(self, permit: str, lease: int, *, is_retry: bool, waiter_ttl: int) -> Decision:
        """Decides whether a call may begin now.

        Args:
            permit: the id of the call; the same one as long as it waits.
            lease: the time in ms after which the permit is free again when no result is recorded.
            is_retry: whether the call is paid for from the retry budget.
            waiter_ttl: the time in ms for which a waiter that does not ask again keeps its turn.

        Returns:
            the decision.
        """
        now = self._now()
        if self.override is Override.FORCED_OPEN:
            return Refused(Override.FORCED_OPEN, None)
        if is_retry and not self._may_retry(now):
            return NoBudget()
        changed: State | None = None
        if not self.override and self.state is State.OPEN:
            self._open_until = min(self._open_until, now + self.rules.open_at_most)
            if self._open_until > now:
                return Refused(State.OPEN, round(self._open_until - now))
            self._change(State.HALF_OPEN)
            changed = State.HALF_OPEN
        probing = not self.override and self.state is State.HALF_OPEN
        if probing:
            self._probes = _alive(self._probes, now)
            if len(self._probes) + self._successes >= self.rules.probes:
                return Refused(State.HALF_OPEN, max(1, min(self._probes.values()) - now))
        wait = self._wait_for_permit(permit, now, waiter_ttl)
        if wait is not None:
            return Wait(wait)
        self._permits[permit] = now + lease
        if probing:
            self._probes[permit] = now + lease
        self._budget["r" if is_retry else "c", now // 1000] += 1
        return Admitted(self.generation, changed, now)

    def record(self, permit: str, generation: int, entered: int, outcome: Outcome) -> State | Override | None:
        """Records how a call ended, and releases its permit.

        Args:
            permit: the id of the call.
            generation: the generation in which it was admitted.
            entered: the time in ms at which it was admitted, as `Admitted.at` has it.
            outcome: its outcome.

        Returns:
            the state or the override to which this changed the breaker, or None.
        """
        now = self._now()
        self._permits.pop(permit, None)
        was_probe = self._probes.pop(permit, None) is not None
        if outcome is Outcome.FORCE_OPEN:
            if self.override is Override.FORCED_OPEN:
                return None
            self.set_override(Override.FORCED_OPEN)
            return Override.FORCED_OPEN
        if outcome is Outcome.IGNORED:
            return None
        if outcome is Outcome.THROTTLED:
            if entered > self._halved_at:
                self._factor = max(self.rules.least_factor, self._share(now) / 2)
                self._halved_at = now
            return None
        if generation != self.generation or self.override in {Override.DISABLED, Override.FORCED_OPEN}:
            return None
        if self.state is State.HALF_OPEN and not self.override:
            return self._probed(outcome, now) if was_probe else None
        if self.state is not State.CLOSED and not self.override:
            return None
        return self._counted(outcome, now)

    def set_override(self, override: Override | None) -> None:
        """Sets an override, or lifts it when it is None. Either way the breaker starts anew, closed."""
        self.override = override
        self._opened = 0
        self._change(State.CLOSED)

    def leave(self, permit: str) -> None:
        """Removes a waiter that gives up, by the id of its call."""
        self._waiting.pop(permit, None)

    def adopt_open(self, wait: int) -> None:
        """Opens the breaker for `wait` ms, as the shared one was when Redis was lost; not under an override."""
        if not self.override and self.state is State.CLOSED:
            self._open_until = self._now() + min(wait, self.rules.open_at_most)
            self._change(State.OPEN)

    def _now(self) -> int:
        """Returns the time of a steady clock, which goes on from where it was when `clock` goes back."""
        read = self.clock()
        self._seen = max(self._seen, read + self._ahead)
        self._ahead = self._seen - read
        return self._seen

    def _probed(self, outcome: Outcome, now: int) -> State | None:
        if outcome is not Outcome.OK:
            return self._open(now)
        if self._successes + 1 < self.rules.probes:
            self._successes += 1
            return None
        self._opened = 0
        return self._change(State.CLOSED)

    def _counted(self, outcome: Outcome, now: int) -> State | None:
        rules = self.rules
        bucket = now // rules.bucket
        self._window["c", bucket] += 1
        if outcome in {Outcome.FAILURE, Outcome.SLOW}:
            self._window["f" if outcome is Outcome.FAILURE else "s", bucket] += 1
        self._consecutive = self._consecutive + 1 if outcome is Outcome.FAILURE else 0
        if self.override or outcome is Outcome.OK:
            return None
        self._window = Counter({key: n for key, n in self._window.items() if key[1] > bucket - rules.buckets})
        counted: Counter[str] = Counter()
        for (kind, _), n in self._window.items():
            counted[kind] += n
        rates = (counted["f"] >= rules.failure_rate * counted["c"], counted["s"] >= rules.slow_call_rate * counted["c"])
        if self._consecutive >= rules.consecutive_failures or (counted["c"] >= rules.minimum_calls and any(rates)):
            return self._open(now)
        return None

    def _open(self, now: int) -> State:
        self._opened += 1
        self._open_until = now + min(self.rules.open_for * 2.0 ** min(self._opened - 1, 30), self.rules.open_at_most)
        return self._change(State.OPEN)

    def _change(self, state: State) -> State:
        self.state = state
        self.generation += 1
        self._consecutive = self._successes = 0
        self._window.clear()
        self._probes.clear()
        return state

    def _may_retry(self, now: int) -> bool:
        oldest = now // 1000 - self.rules.budget_window
        self._budget = Counter({key: n for key, n in self._budget.items() if key[1] > oldest})
        counted: Counter[str] = Counter()
        for (kind, _), n in self._budget.items():
            counted[kind] += n
        return counted["r"] < max(self.rules.budget_floor, self.rules.budget_share * counted["c"])

    def _share(self, now: int) -> float:
        if not self._halved_at:
            return 1.0
        return min(1.0, self._factor + (now - self._halved_at) / self.rules.recovery)

    def _wait_for_permit(self, permit: str, now: int, waiter_ttl: int) -> int | None:
        """Returns the time in ms until a permit can be free (0 when not known), or None when one is."""
        self._permits = _alive(self._permits, now)
        self._waiting = {name: until for name, until in self._waiting.items() if until > now}
        order = list(self._waiting)
        ahead = order.index(permit) if permit in self._waiting else len(order)
        share = self._share(now)
        free = max(1, int(self.rules.max_in_flight * share)) - len(self._permits) - ahead
        wait = 0.0
        interval = 1000 / (self.rules.rate * share) if self.rules.rate else 0.0
        tat = min(max(self._tat, now), now + self.rules.burst * interval)
        if self.rules.rate:
            self._tat = min(self._tat, tat)
            wait = max(0.0, tat + (ahead + 1 - self.rules.burst) * interval - now)
        if free <= 0 or wait > 0:
            self._waiting[permit] = now + waiter_ttl
            return -int(-wait // 1)
        self._waiting.pop(permit, None)
        self._tat = tat + interval
        return None


def _alive(leases: dict[str, int], now: int) -> dict[str, int]:
    return {name: until for name, until in leases.items() if until > now}
