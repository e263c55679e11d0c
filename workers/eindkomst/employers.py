"""The names of employers: from the cache, and for the rest from the CVR register's search, without ever failing."""

import base64
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import structlog
from pydantic import BaseModel, ConfigDict, FailFast, Field
from redis.asyncio import Redis

from config.settings import CvrSettings
from workers.connections import REDIS_DOWN
from workers.resilience.client import Answer, Question
from workers.resilience.errors import UpstreamError, UpstreamUnavailable
from workers.resilience.upstream import Exchange, Upstream

log = structlog.get_logger()

PATH = "/cvr-permanent/virksomhed/_search"
NUMBERS_PER_CALL = 1000
"""Far below the 10,000 hits at which Elasticsearch stops by default; more than any citizen has employers."""
LONGEST_NAME = 300
"""As for every other name that a register gives."""

_NUMBER = "Vrvirksomhed.cvrNummer"
_NAME = "Vrvirksomhed.virksomhedMetadata.nyesteNavn.navn"
"""The fields of Erhvervsstyrelsen's system-to-system access, which is published."""


@dataclass(frozen=True, slots=True)
class Names:
    """CVR number → name. A number that CVR does not know is absent; `complete` is whether CVR was asked about all."""

    by_number: Mapping[str, str]
    complete: bool


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", hide_input_in_errors=True)


class _NewestName(_Part):
    navn: str | None = None


class _Metadata(_Part):
    newest_name: _NewestName | None = Field(default=None, alias="nyesteNavn")


class _Company(_Part):
    cvr_number: int = Field(alias="cvrNummer", ge=0, lt=10**8)
    metadata: _Metadata | None = Field(default=None, alias="virksomhedMetadata")

    @property
    def number(self) -> str:
        return f"{self.cvr_number:08}"

    @property
    def name(self) -> str | None:
        if self.metadata is None or self.metadata.newest_name is None:
            return None
        return _usable(self.metadata.newest_name.navn)


class _Source(_Part):
    company: _Company = Field(alias="Vrvirksomhed")


class _Hit(_Part):
    source: _Source = Field(alias="_source")


class _Hits(_Part):
    hits: Annotated[list[_Hit], FailFast()]


class _Shards(_Part):
    failed: int = 0


class _SearchResult(_Part):
    hits: _Hits
    timed_out: bool = False
    shards: _Shards = Field(default=_Shards(), alias="_shards")

    @property
    def is_partial(self) -> bool:
        return self.timed_out or self.shards.failed > 0


class Employers:
    """Looks up names. They are public, so the cache holds them unsealed, for as long as the settings say."""

    def __init__(self, upstream: Upstream, settings: CvrSettings, cache: Redis) -> None:
        self._upstream = upstream
        self._settings = settings
        self._cache = cache

    async def names(self, cvr_numbers: Collection[str]) -> Names:
        """The names of these companies, as far as they can be had. Raises neither UpstreamError nor Redis' errors.

        Without the cache all are asked for; without CVR, the names are those of the cache and not complete.
        """
        numbers = sorted(set(cvr_numbers))
        known, cache_answers = await self._from_cache(numbers)
        missing = [number for number in numbers if number not in known]
        found: dict[str, str] = {}
        try:
            for some in _batches(missing):
                found |= await self._ask(some)
            complete = True
        except UpstreamError as error:
            log.info("employer_names_incomplete", reason=error.reason)
            complete = False
        if found and cache_answers:
            await self._keep(found)
        return Names(known | found, complete)

    async def _ask(self, numbers: Sequence[str]) -> dict[str, str]:
        """CVR number → name, of these alone: what was not asked for is not put into everybody's cache."""
        found = await self._upstream.ask(Exchange(lambda _: self._question(numbers), _read))
        return {number: found[number] for number in numbers if number in found}

    async def _from_cache(self, numbers: Sequence[str]) -> tuple[dict[str, str], bool]:
        """The names that the cache holds, and whether it answers at all."""
        if not numbers:
            return {}, True
        try:
            values = await self._cache.mget([_key(number) for number in numbers])
        except REDIS_DOWN as error:
            log.warning("employer_names_not_cached", detail=type(error).__name__)
            return {}, False
        names = ((number, _usable(_decoded(value))) for number, value in zip(numbers, values, strict=True))
        return {number: name for number, name in names if name}, True

    async def _keep(self, names: Mapping[str, str]) -> None:
        try:
            async with self._cache.pipeline(transaction=False) as pipeline:
                for number, name in names.items():
                    pipeline.set(_key(number), name.encode(), px=self._settings.names_for)
                await pipeline.execute()
        except REDIS_DOWN as error:
            log.warning("employer_names_not_cached", detail=type(error).__name__)

    def _question(self, numbers: Sequence[str]) -> Question:
        search = {
            "query": {"terms": {_NUMBER: [int(number) for number in numbers]}},
            "_source": [_NUMBER, _NAME],
            "size": len(numbers),
        }
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        return Question("POST", PATH, headers | self._credentials(), json.dumps(search).encode())

    def _credentials(self) -> dict[str, str]:
        """HTTP Basic (RFC 7617), when a user is set."""
        if not self._settings.user:
            return {}
        password = self._settings.password.get_secret_value() if self._settings.password else ""
        pair = base64.b64encode(f"{self._settings.user}:{password}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}


def _read(answer: Answer) -> dict[str, str]:
    """CVR number → name, of those that have one. Raises CallFailed; also when not every part of the index answered."""
    if refusal := answer.refusal():
        raise refusal
    result = answer.model(_SearchResult)
    if result.is_partial:
        raise UpstreamUnavailable("the search covers only a part of the index")
    companies = (hit.source.company for hit in result.hits.hits)
    return {company.number: company.name for company in companies if company.name}


def _usable(name: str | None) -> str | None:
    """The name without white space around it; None when nothing is left, or too much to be a name."""
    stripped = (name or "").strip()
    return stripped if 0 < len(stripped) <= LONGEST_NAME else None


def _decoded(value: object) -> str | None:
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else None


def _batches(numbers: Sequence[str]) -> Iterable[Sequence[str]]:
    return (numbers[at : at + NUMBERS_PER_CALL] for at in range(0, len(numbers), NUMBERS_PER_CALL))


def _key(number: str) -> str:
    return f"employer:{number}"
