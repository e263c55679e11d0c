"""The machine of admission in Redis: one atomic script each, so that all processes decide as one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from redis.typing import EncodableT

from workers.connections import Client
from workers.resilience.admission import scripts
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
from workers.steady import Steady, SteadyScript


@dataclass(frozen=True, slots=True)
class Ordered:
    """An override with who set it, when (ms since 1970), why, and as which user of the system (not through the API)."""

    override: Override
    by: str
    at: int
    reason: str
    user: str = ""


class Unknown(Exception):
    """Redis holds nothing of this upstream: it is new there, or was emptied."""


class SharedMachine:
    """Decides for one upstream, by a steady clock of its own; `clock` and `monotonic` are those of `Steady`, for tests.

    Every method raises REDIS_DOWN errors.
    """

    def __init__(
        self,
        redis: Client,
        rules: Rules,
        clock: Callable[[], int] | None = None,
        monotonic: Callable[[], float] | None = None,
    ) -> None:
        self.rules = rules
        self.redis = redis
        self._settings = rules.as_json()
        tag = f"admission:{{{rules.upstream}}}"
        self._keys = [tag, *(f"{tag}:{part}" for part in _PARTS)]
        steady = Steady(redis, clock, monotonic)
        self._scripts: dict[str, SteadyScript] = {
            name: steady.script(getattr(scripts, name))
            for name in ("ENTER", "RECORD", "CREATE", "OVERRIDE", "LEAVE", "LOOK")
        }

    async def enter(self, permit: str, lease: int, *, is_retry: bool, believed: int) -> Entry:
        """What becomes of a call that wants to begin now; times in milliseconds. Raises Unknown."""
        kind, *rest = await self._run("ENTER", permit, lease, int(is_retry), believed)
        match kind.decode():
            case "admitted":
                return Admitted(int(rest[0]), State(rest[1].decode()) if rest[1] else None, int(rest[2]))
            case "refused":
                by = rest[0].decode()
                return Refused(
                    Override(by) if by in set(Override) else State(by), None if int(rest[1]) < 0 else int(rest[1])
                )
            case "wait":
                return Wait(int(rest[0]))
            case "no_budget":
                return NoBudget()
        raise Unknown(self.rules.upstream)

    async def record(
        self, permit: str, generation: int, entered: int, outcome: Outcome, reason: str = ""
    ) -> State | Override | None:
        """Notes how a call ended. Returns what the state or the override changed to, if it did."""
        changed = (await self._run("RECORD", permit, generation, entered, outcome, reason)).decode()
        if not changed:
            return None
        return Override(changed) if changed in set(Override) else State(changed)

    async def create(self, ordered: Ordered | None) -> None:
        """Starts to know the upstream, under the override that the ledger holds; does nothing when it is known."""
        await self._run("CREATE", *_arguments(ordered))

    async def set_override(self, ordered: Ordered | None) -> None:
        """Sets or lifts an override; either way the breaker starts anew, closed."""
        await self._run("OVERRIDE", *_arguments(ordered))

    async def override(self) -> Override | None:
        """The override that is in force."""
        found = await self.redis.hget(self._keys[0], "override")
        return Override(found.decode() if isinstance(found, bytes) else found) if found else None

    async def leave(self, permit: str) -> None:
        """A waiter gives up."""
        await self._run("LEAVE", permit)

    async def look(self) -> dict[str, str]:
        """What is known, by field; empty fields are absent. Times are the server's own, in ms since 1970."""
        found = [value.decode() for value in await self._run("LOOK")]
        return dict(zip(found[::2], found[1::2], strict=True))

    async def _run(self, name: str, *arguments: EncodableT) -> Any:  # noqa: ANN401 - what a script gives depends on the script
        return await self._scripts[name](keys=self._keys, args=[self._settings, *arguments])


_PARTS = ("window", "permits", "probes", "waiting", "alive", "budget", "clock")


def _arguments(ordered: Ordered | None) -> tuple[EncodableT, ...]:
    return (ordered.override, ordered.by, ordered.at, ordered.reason) if ordered else ("", "", 0, "")
