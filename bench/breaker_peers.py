"""One process of `bench/breakers.py`: drives one circuit breaker, ours or a library's, all of them in the same way.

    python bench/breaker_peers.py NAME REDIS_URL (trip | burst | hang | heal | crowd)

Each breaker opens after three failures and stays open for a second.
"""

import asyncio
import datetime as dt
import sys
import time
from collections.abc import Awaitable, Callable

OPEN_SECONDS = 1
FAILURES = 3
GIVEN_UP_AFTER = 10.0

Work = Callable[[], Awaitable[None]]
Guarded = Callable[[Work], Awaitable[None]]
"""Does the work through the breaker; raises whatever the breaker raises when it does not let it through."""


class DeadError(Exception):
    """What the upstream's failures are."""


async def ours(url: str) -> Guarded:
    """registerbro's, by its script in Redis."""
    from redis.asyncio import Redis  # noqa: PLC0415 - each process imports its own library alone

    from redis_admission import AdmissionController, Limits, Outcome  # noqa: PLC0415

    limits = Limits(
        consecutive_failures=FAILURES,
        open_for=dt.timedelta(seconds=OPEN_SECONDS),
        probes=1,
        max_in_flight=100,
        lease=dt.timedelta(seconds=3),
    )
    admission = AdmissionController(Redis.from_url(url, socket_timeout=0.5), "bench", limits)

    async def guarded(work: Work) -> None:
        permit = await admission.enter()
        began, outcome = time.monotonic(), Outcome.OK
        try:
            await work()
        except DeadError:
            outcome = Outcome.FAILURE
            raise
        finally:
            await admission.record(permit, outcome, dt.timedelta(seconds=time.monotonic() - began))

    return guarded


async def pybreaker(url: str) -> Guarded:
    """Pybreaker is synchronous: each call has a thread."""
    import pybreaker as library  # noqa: PLC0415
    import redis  # noqa: PLC0415

    storage = library.CircuitRedisStorage(library.STATE_CLOSED, redis.Redis.from_url(url), namespace="bench")
    breaker = library.CircuitBreaker(fail_max=FAILURES, reset_timeout=OPEN_SECONDS, state_storage=storage)

    async def guarded(work: Work) -> None:
        await asyncio.to_thread(breaker.call, lambda: asyncio.run(_once(work)))

    return guarded


async def purgatory(url: str) -> Guarded:
    """purgatory, in the asynchronous form: the synchronous one does not work with Redis."""
    import purgatory as library  # noqa: PLC0415

    factory = library.AsyncCircuitBreakerFactory(
        default_threshold=FAILURES, default_ttl=OPEN_SECONDS, uow=library.AsyncRedisUnitOfWork(url)
    )
    await factory.initialize()

    async def guarded(work: Work) -> None:
        async with await factory.get_breaker("bench"):
            await work()

    return guarded


async def aiobreaker(url: str) -> Guarded:
    """aiobreaker, over its Redis storage."""
    import aiobreaker as library  # noqa: PLC0415
    import redis  # noqa: PLC0415
    from aiobreaker.storage.redis import CircuitRedisStorage  # noqa: PLC0415

    storage = CircuitRedisStorage(library.CircuitBreakerState.CLOSED, redis.Redis.from_url(url), namespace="bench")
    breaker = library.CircuitBreaker(
        fail_max=FAILURES, timeout_duration=dt.timedelta(seconds=OPEN_SECONDS), state_storage=storage
    )

    async def guarded(work: Work) -> None:
        await breaker.call_async(lambda: _once(work))

    return guarded


async def cashews(url: str) -> Guarded:
    """cashews, whose half-open state lets a share of the calls through."""
    from cashews import cache  # noqa: PLC0415

    cache.setup(url)

    @cache.circuit_breaker(
        errors_rate=50, period="10s", ttl=f"{OPEN_SECONDS}s", half_open_ttl="5s", min_calls=FAILURES, key="bench"
    )
    async def guarded(work: Work) -> None:
        await work()

    return guarded


BREAKERS = {each.__name__: each for each in (ours, pybreaker, purgatory, aiobreaker, cashews)}


async def _once(work: Work) -> None:
    await work()


async def _fail() -> None:
    raise DeadError


async def _quick() -> None:
    await asyncio.sleep(0)


async def _main(name: str, url: str, mode: str) -> None:
    guarded = await BREAKERS[name](url)
    if mode == "trip":
        for _ in range(FAILURES + 2):
            await _refused(guarded, _fail)
        print("open" if await _refused(guarded, _quick) else "closed", flush=True)
    elif mode == "burst":
        print("ready", flush=True)
        await asyncio.sleep(float(sys.stdin.readline()) - time.time())
        print("refused" if await _refused(guarded, lambda: asyncio.sleep(0.5)) else "through", flush=True)
    elif mode == "hang":
        await guarded(_say_and_hang)
    elif mode == "heal":
        began = time.monotonic()
        while await _refused(guarded, _quick):
            if time.monotonic() - began > GIVEN_UP_AFTER:
                print("never", flush=True)
                return
            await asyncio.sleep(0.05)
        print(time.monotonic() - began, flush=True)
    elif mode == "crowd":
        await guarded(_quick)
        began = time.monotonic()
        await asyncio.gather(*(guarded(lambda: asyncio.sleep(0.2)) for _ in range(8)))
        print(time.monotonic() - began, flush=True)


async def _say_and_hang() -> None:
    print("in", flush=True)
    await asyncio.to_thread(time.sleep, 60)


async def _refused(guarded: Guarded, work: Work) -> bool:
    try:
        await guarded(work)
    except Exception:  # noqa: BLE001 - each library refuses with an error of its own
        return True
    return False


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
