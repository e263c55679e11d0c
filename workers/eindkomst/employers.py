"""Employers' names: from the cache, and for the rest from the CVR register's search, without ever failing."""

import base64
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog
from redis.asyncio import Redis

from config.settings import CvrSettings
from domain.overview import LeftOut
from registerbro.storage.keys import employer_key
from registerbro.storage.redis_client import REDIS_DOWN
from registerbro.storage.sealing.sealer import Sealer, Unreadable, sealed_with
from registerbro.telemetry import metrics
from registerbro.upstreams.errors import UpstreamError
from registerbro.upstreams.messages import Question
from registerbro.upstreams.pipeline import Exchange, Upstream
from workers.eindkomst.cvr_wire import CVR_NUMBER, NUMBERS_PER_CALL, WANTED, Found, Named, read, usable_name

log = structlog.get_logger()

_NUMBER = re.compile(r"[0-9]{8}")


@dataclass(frozen=True, slots=True)
class Names:
    """Number → name. A number that CVR does not know is absent; `complete` is whether CVR was asked about all.

    `left_out` is what could not be read of CVR's answers.
    """

    by_number: Mapping[str, str] = field(repr=False)
    complete: bool
    left_out: tuple[LeftOut, ...] = ()


class Employers:
    """Looks up names. The cache holds them for as long as the settings say; a human being's are sealed there."""

    def __init__(self, upstream: Upstream, settings: CvrSettings, cache: Redis, sealer: Sealer) -> None:
        self._upstream = upstream
        self._settings = settings
        self._cache = cache
        self._sealer = sealer

    async def names(self, numbers: Collection[str]) -> Names:
        """Looks up the names of these employers, as far as possible. Raises neither UpstreamError nor Redis' errors.

        `numbers` are CVR numbers, or SE numbers, which are tried as such: a company's first SE number is its CVR
        number. A number of another form is not asked for, and has no name. Without the cache all are asked for; without
        CVR, the names are those of the cache and not complete.
        """
        numbers = sorted({number for number in numbers if _NUMBER.fullmatch(number)})
        known, cache_answers = await self._from_cache(numbers)
        missing = [number for number in numbers if number not in known]
        found: dict[str, Named] = {}
        left_out: list[LeftOut] = []
        try:
            for some in _batches(missing):
                answered = await self._ask(some)
                found |= answered.by_number
                left_out += answered.left_out
            complete = True
        except UpstreamError as error:
            log.info("employer_names_incomplete", reason=error.reason)
            complete = False
        if found and cache_answers:
            await self._keep(found)
        by_number = known | {number: named.name for number, named in found.items()}
        return Names(by_number, complete, tuple(left_out))

    async def _ask(self, numbers: Sequence[str]) -> Found:
        """Asks CVR; names of numbers that were not asked for are dropped, so that none gets into the shared cache."""
        found = await self._upstream.ask(
            Exchange(lambda _: question(self._upstream.path, numbers, self._settings), read)
        )
        by_number = {number: found.by_number[number] for number in numbers if number in found.by_number}
        return Found(by_number, found.left_out)

    async def _from_cache(self, numbers: Sequence[str]) -> tuple[dict[str, str], bool]:
        """The names that the cache holds, and whether it answers at all."""
        if not numbers:
            return {}, True
        try:
            values = await self._cache.mget([employer_key(number) for number in numbers])
        except REDIS_DOWN as error:
            log.warning("employer_names_not_cached", detail=type(error).__name__)
            return {}, False
        names = (
            (number, self._kept(employer_key(number), value)) for number, value in zip(numbers, values, strict=True)
        )
        return {number: name for number, name in names if name}, True

    def _kept(self, key: str, value: object) -> str | None:
        """The name that a cached value holds; None for a sealed value that does not open."""
        if not isinstance(value, bytes):
            return None
        if sealed_with(value) is None:
            return usable_name(value.decode("utf-8", errors="replace"))
        try:
            return usable_name(self._sealer.open(value, key).decode())
        except Unreadable as error:
            metrics.UNREADABLE.labels("employer").inc()
            log.error("employer_name_unreadable", detail=str(error))
            return None

    async def _keep(self, found: Mapping[str, Named]) -> None:
        try:
            async with self._cache.pipeline(transaction=False) as pipeline:
                for number, named in found.items():
                    key, value = employer_key(number), named.name.encode()
                    kept = self._sealer.seal(value, key) if named.is_a_persons else value
                    pipeline.set(key, kept, px=self._settings.names_for)
                await pipeline.execute()
        except REDIS_DOWN as error:
            log.warning("employer_names_not_cached", detail=type(error).__name__)


def question(path: str, numbers: Sequence[str], settings: CvrSettings) -> Question:
    """The search for these numbers, of digits alone."""
    search = {
        "query": {"terms": {CVR_NUMBER: [int(number) for number in numbers]}},
        "_source": list(WANTED),
        "size": len(numbers),
    }
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    return Question("POST", path, headers | _credentials(settings), json.dumps(search).encode())


def _credentials(settings: CvrSettings) -> dict[str, str]:
    """HTTP Basic (RFC 7617), when a user is set."""
    if not settings.user:
        return {}
    password = settings.password.get_secret_value() if settings.password else ""
    pair = base64.b64encode(f"{settings.user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


def _batches(numbers: Sequence[str]) -> Iterable[Sequence[str]]:
    return (numbers[at : at + NUMBERS_PER_CALL] for at in range(0, len(numbers), NUMBERS_PER_CALL))
