"""Admission state of one upstream in Redis: each decision is one atomic script, so that all processes decide as one."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from redis.asyncio import Redis
from redis.commands.core import AsyncScript
from redis.typing import EncodableT

from redis_admission import scripts
from redis_admission.clock import SteadyClock
from redis_admission.model import (
    Admitted,
    Decision,
    NoBudget,
    Outcome,
    Override,
    OverrideOrder,
    Refused,
    Rules,
    State,
    Wait,
)
from redis_admission.protocols import Ask, Batching, Item, one_by_one

_SCRIPTS = ("enter", "record", "create", "set_override", "leave", "status")


class UnknownUpstream(Exception):
    """Redis holds nothing of this upstream: the server is new, or was emptied."""


class RedisState:
    """Admission state of one upstream in Redis, shared by all processes.

    Every method raises what the Redis client raises.

    Args:
        redis: an asyncio client, with or without `decode_responses`.
        rules: the upstream's rules.
        server_time: the server's time in ms since 1970, for tests; None for Redis' own.
        monotonic: a time in ms that is never set, for tests; None for the process's own.
        batching: sends what many calls ask for at a time as one command.

    Attributes:
        override_seen: the override that was in force when Redis last answered `record`, or None.
    """

    def __init__(
        self,
        redis: Redis,
        rules: Rules,
        server_time: Callable[[], int] | None = None,
        monotonic: Callable[[], float] | None = None,
        batching: Batching = one_by_one,
    ) -> None:
        self.rules = rules
        self.redis = redis
        self.answers = 0
        """The number of scripts that Redis has answered so far."""
        self.override_seen: Override | None = None
        self._rules = rules.as_json()
        tag = f"admission:{{{rules.upstream}}}"
        self._keys = [tag, *(f"{tag}:{part}" for part in scripts.KEYS[1:])]
        self._clock = SteadyClock(server_time, monotonic)
        self._scripts: dict[str, tuple[AsyncScript, tuple[str, ...]]] = {}
        self._asks: dict[str, tuple[Ask, tuple[str, ...]]] = {}
        for name in _SCRIPTS:
            source = scripts.load(name)
            script = redis.register_script(source.text)
            if source.item:
                self._asks[name] = (batching(partial(self._run_over, script)), source.item)
            else:
                # Behind the clock's four arguments and the rules.
                self._scripts[name] = (script, source.arguments[5:])

    async def enter(self, permit: str, lease: int, *, is_retry: bool, waiter_ttl: int) -> Decision:
        """Decides whether a call may begin now.

        Args:
            permit: the id of the call; the same one as long as it waits.
            lease: the time in ms after which the permit is free again when no result is recorded.
            is_retry: whether the call repeats one that failed, and so is paid for from the retry budget.
            waiter_ttl: the time in ms for which a waiter that does not ask again keeps its turn.

        Returns:
            the decision.

        Raises:
            UnknownUpstream: the state has to be created first.
        """
        kind, *rest = await self._ask(
            "enter", permit=permit, lease=lease, is_retry=int(is_retry), waiter_ttl=waiter_ttl
        )
        match _text(kind):
            case "admitted":
                return Admitted(int(rest[0]), State(_text(rest[1])) if rest[1] else None, int(rest[2]))
            case "refused":
                return Refused(_state(_text(rest[0])), None if int(rest[1]) < 0 else int(rest[1]))
            case "wait":
                return Wait(int(rest[0]))
            case "no_budget":
                return NoBudget()
        raise UnknownUpstream(self.rules.upstream)

    async def record(
        self, permit: str, generation: int, entered: int, outcome: Outcome, *, reason: str = "", actor: str = ""
    ) -> State | Override | None:
        """Records how a call ended, and releases its permit.

        Args:
            permit: the id of the call.
            generation: the generation in which it was admitted.
            entered: the time in ms at which it was admitted, as `Admitted.at` has it.
            outcome: its outcome.
            reason: a short constant for operators; shown as the last failure's.
            actor: the author of the override that `Outcome.FORCE_OPEN` sets.

        Returns:
            the state or the override to which this changed the breaker, or None.
        """
        answer = await self._ask(
            "record",
            permit=permit,
            generation=generation,
            entered=entered,
            outcome=outcome,
            reason=reason,
            actor=actor,
        )
        changed, override = map(_text, answer)
        self.override_seen = Override(override) if override else None
        return _state(changed) if changed else None

    async def create(self, order: OverrideOrder | None) -> None:
        """Creates the state, closed, under the override of the store; does nothing when it exists."""
        await self._run("create", **_fields(order))

    async def set_override(self, order: OverrideOrder | None) -> None:
        """Sets an override, or lifts it when `order` is None. Either way the breaker starts anew, closed."""
        await self._run("set_override", **_fields(order))

    async def override(self) -> Override | None:
        """Returns the override in force, or None."""
        found = await self.redis.hget(self._keys[0], "override")
        self.answers += 1
        return Override(_text(found)) if found else None

    async def leave(self, permit: str) -> None:
        """Removes a waiter that gives up, by the id of its call."""
        await self._run("leave", permit=permit)

    async def status(self) -> dict[str, str]:
        """Returns what is known of the upstream, by field; a field without a value is absent.

        Returns:
            `state`, `since`, `generation`, `open_until`, `override`, `override_by`, `override_at`, `override_reason`,
            `succeeded_at`, `failed_at`, `failure`; and always `now`, `calls`, `failures`, `slow` (in the window),
            `in_flight`, `waiting` and `limit`. Times are in ms since 1970, by the server's clock.
        """
        found = [_text(value) for value in await self._run("status")]
        return dict(zip(found[::2], found[1::2], strict=True))

    async def _run(self, name: str, **arguments: EncodableT) -> Any:  # noqa: ANN401 - the answer depends on the script
        script, names = self._scripts[name]
        return await self._run_over(script, [tuple(arguments[argument] for argument in names)])

    def _ask(self, name: str, **arguments: EncodableT) -> Awaitable[Any]:
        ask, names = self._asks[name]
        return ask(tuple(arguments[argument] for argument in names))

    async def _run_over(self, script: AsyncScript, items: Sequence[Item]) -> Any:  # noqa: ANN401 - as it is
        clock, asked = self._clock.arguments()
        now, which, answer = await script(
            keys=self._keys, args=[*clock, self._rules, *(value for item in items for value in item)]
        )
        self.answers += 1
        self._clock.record(which, int(now), asked)
        return answer


def _fields(order: OverrideOrder | None) -> dict[str, EncodableT]:
    if order is None:
        return {"override": "", "by": "", "at": 0, "reason": ""}
    return {"override": order.override, "by": order.by, "at": order.at, "reason": order.reason}


def _state(name: str) -> State | Override:
    return Override(name) if name in _OVERRIDES else State(name)


_OVERRIDES = frozenset(Override)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
