"""The machine of admission in one process: it decides while there is no Redis; the scripts are tested against it."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from workers.resilience.admission.terms import (
    Admitted,
    Entry,
    NoBudget,
    Outcome,
    Override,
    Refused,
    Rules,
    State,
    Wait,
)


@dataclass
class LocalMachine:
    """The same decisions as the scripts', from memory. `clock` gives milliseconds; where it goes back, time stands."""

    rules: Rules
    clock: Callable[[], int]
    state: State = State.CLOSED
    override: Override | None = None
    generation: int = 1
    _seen: int = 0
    _ahead: int = 0
    _opened: int = 0
    _open_until: float = 0
    _consecutive: int = 0
    _successes: int = 0
    _halved_at: int = 0
    _factor: float = 1.0
    _tat: float = 0
    _window: Counter[tuple[str, int]] = field(default_factory=Counter)
    _budget: Counter[tuple[str, int]] = field(default_factory=Counter)
    _permits: dict[str, int] = field(default_factory=dict)
    _probes: dict[str, int] = field(default_factory=dict)
    _waiting: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._now()

    @property
    def in_flight(self) -> int:
        """How many calls are under way."""
        self._permits = _alive(self._permits, self._now())
        return len(self._permits)

    def enter(self, permit: str, lease: int, *, is_retry: bool, believed: int) -> Entry:
        """What becomes of a call that wants to begin now; times in milliseconds."""
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
        wait = self._wait_for_place(permit, now, believed)
        if wait is not None:
            return Wait(wait)
        self._permits[permit] = now + lease
        if probing:
            self._probes[permit] = now + lease
        self._budget["r" if is_retry else "c", now // 1000] += 1
        return Admitted(self.generation, changed, now)

    def record(self, permit: str, generation: int, entered: int, outcome: Outcome) -> State | Override | None:
        """Notes how a call ended. Returns what the state or the override changed to, if it did."""
        now = self._now()
        self._permits.pop(permit, None)
        was_probe = self._probes.pop(permit, None) is not None
        if outcome is Outcome.WRONG_PERSON:
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
        """Sets or lifts an override; either way the breaker starts anew, closed."""
        self.override = override
        self._opened = 0
        self._change(State.CLOSED)

    def leave(self, permit: str) -> None:
        """A waiter gives up."""
        self._waiting.pop(permit, None)

    def adopt_open(self, wait: int) -> None:
        """Takes over that the shared breaker was open for so long still, when Redis has just gone."""
        if not self.override and self.state is State.CLOSED:
            self._open_until = self._now() + min(wait, self.rules.open_at_most)
            self._change(State.OPEN)

    def _now(self) -> int:
        """As the scripts' steady clock, for who has no other to hold against it: it goes on from where it was."""
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

    def _wait_for_place(self, permit: str, now: int, believed: int) -> int | None:
        """How long to wait before asking again, in milliseconds (0: until a place is free); None when there is one."""
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
            self._waiting[permit] = now + believed
            return -int(-wait // 1)
        self._waiting.pop(permit, None)
        self._tat = tat + interval
        return None


def _alive(leases: dict[str, int], now: int) -> dict[str, int]:
    return {name: until for name, until in leases.items() if until > now}
