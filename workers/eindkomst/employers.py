"""The names of employers: from the cache, and for the rest from the CVR register's search, without ever failing."""

import base64
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, TypeVar

import structlog
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from redis.asyncio import Redis

from config.settings import CvrSettings
from workers import metrics
from workers.cache.sealing import Sealer, Unreadable, sealed_with
from workers.connections import REDIS_DOWN
from workers.domain.overview import LeftOut
from workers.resilience.client import Answer, Question, validated
from workers.resilience.errors import InvalidResponse, UpstreamError, UpstreamUnavailable
from workers.resilience.upstream import Exchange, Upstream

log = structlog.get_logger()

PartT = TypeVar("PartT", bound=BaseModel)

PATH = "/cvr-permanent/virksomhed/_search"
NUMBERS_PER_CALL = 1000
"""Far below the 10,000 hits at which Elasticsearch stops by default; more than any citizen has employers."""
LONGEST_NAME = 300
"""As for every other name that a register gives."""
MOST_OF_A_HISTORY = 100
"""How many names, or forms, of one company are looked at: no company had so many, and an answer may hold a million."""

COMPANY, COMPANY_NAME = "company", "company_name"
"""Kinds of what is left out: a hit, and a name out of the history of one that has no newest name."""

FORMS_OF_NO_PERSON = frozenset(
    {60, 70, 80, 90, 100, 110, 115, 130, 140, 150, 160, 170, 180, 190, 195, 196, 230, 240, 245, 250, 260, 290}
)
"""The forms of companies that no human being is, nor a few who trade under their own names: companies with limited
liability, foundations, associations, public bodies. Danmarks Statistik, »Virksomhedsformer i Det Erhvervsstatistiske
Register«, 1 August 2008. Not in it are 10 (enkeltmandsvirksomhed), 15 (personligt ejet mindre virksomhed), 20 (dødsbo),
30 (interessentskab), 40, 50, those abroad of any form, 990 (not stated), and whatever came since: it could be a person.
"""

_NUMBER = re.compile(r"[0-9]{8}")
_COMPANY = "Vrvirksomhed"
_CVR_NUMBER = f"{_COMPANY}.cvrNummer"
_WANTED = (
    _CVR_NUMBER,
    f"{_COMPANY}.fejlRegistreret",
    f"{_COMPANY}.virksomhedMetadata.nyesteNavn.navn",
    f"{_COMPANY}.virksomhedMetadata.nyesteVirksomhedsform.virksomhedsformkode",
    f"{_COMPANY}.navne.navn",
    f"{_COMPANY}.navne.periode",
    f"{_COMPANY}.virksomhedsform.virksomhedsformkode",
    f"{_COMPANY}.virksomhedsform.periode",
)
"""The fields of Erhvervsstyrelsen's system-to-system access, as its public clients read them."""


@dataclass(frozen=True, slots=True)
class Names:
    """Number → name. A number that CVR does not know is absent; `complete` is whether CVR was asked about all.

    `left_out` is what could not be read of CVR's answers.
    """

    by_number: Mapping[str, str] = field(repr=False)
    complete: bool
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, slots=True)
class _Named:
    """A company's name; `is_a_persons` is whether it could be that of a human being."""

    name: str = field(repr=False)
    is_a_persons: bool


@dataclass(frozen=True, slots=True)
class _Found:
    """What an answer comes to."""

    by_number: Mapping[str, _Named]
    left_out: tuple[LeftOut, ...]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", hide_input_in_errors=True)


def _day(value: object) -> object:
    return date.fromisoformat(value) if isinstance(value, str) else value


_Day = Annotated[date, BeforeValidator(_day)]


class _Period(_Part):
    start: _Day | None = Field(default=None, alias="gyldigFra")
    end: _Day | None = Field(default=None, alias="gyldigTil")


class _Dated(_Part):
    """Something that a company had for a while."""

    period: _Period | None = Field(default=None, alias="periode")

    @property
    def until(self) -> tuple[bool, date, date]:
        """What sorts the newest last: until when it was valid, and from when."""
        if self.period is None:
            return False, date.min, date.min
        return True, self.period.end or date.max, self.period.start or date.min


class _PastName(_Dated):
    name: str | None = Field(default=None, alias="navn")


class _NewestName(_Part):
    name: str | None = Field(default=None, alias="navn")


class _Form(_Dated):
    code: int = Field(alias="virksomhedsformkode")


class _Metadata(_Part):
    newest_name: _NewestName | None = Field(default=None, alias="nyesteNavn")
    newest_form: object = Field(default=None, alias="nyesteVirksomhedsform")


class _Company(_Part):
    """`forms` and the names of the past are read when the newest are missing, and each by itself."""

    cvr_number: int = Field(alias="cvrNummer", ge=0, lt=10**8)
    registered_by_mistake: bool | None = Field(default=None, alias="fejlRegistreret")
    metadata: _Metadata | None = Field(default=None, alias="virksomhedMetadata")
    names: object = Field(default=None, alias="navne")
    forms: object = Field(default=None, alias="virksomhedsform")

    @property
    def number(self) -> str:
        return f"{self.cvr_number:08}"

    @property
    def newest_name(self) -> str | None:
        if self.metadata is None or self.metadata.newest_name is None:
            return None
        return _usable(self.metadata.newest_name.name)

    @property
    def is_a_persons(self) -> bool:
        """Whether its name could be a human being's: also when its form is not told, or not so that we can read it."""
        form = self.metadata.newest_form if self.metadata else None
        forms, unreadable = _each(_Form, self.forms if form is None else [form])
        newest = max(forms, key=lambda one: one.until, default=None)
        return bool(unreadable) or newest is None or newest.code not in FORMS_OF_NO_PERSON

    def last_name(self) -> tuple[str | None, Sequence[int]]:
        """The newest of all its names, and which of them, counted from 1, could not be read."""
        names, unreadable = _each(_PastName, self.names)
        usable = [one for one in names if _usable(one.name)]
        newest = max(usable, key=lambda one: one.until, default=None)
        return (_usable(newest.name) if newest else None), unreadable


class _Source(_Part):
    company: _Company = Field(alias="Vrvirksomhed")


class _Hit(_Part):
    source: _Source = Field(alias="_source")


class _Hits(_Part):
    hits: list[object]


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
    """Looks up names. The cache holds them for as long as the settings say; a human being's are sealed there."""

    def __init__(self, upstream: Upstream, settings: CvrSettings, cache: Redis, sealer: Sealer) -> None:
        self._upstream = upstream
        self._settings = settings
        self._cache = cache
        self._sealer = sealer

    async def names(self, numbers: Collection[str]) -> Names:
        """The names of these employers, as far as they can be had. Raises neither UpstreamError nor Redis' errors.

        `numbers` are CVR numbers, or SE numbers, which are tried as such: a company's first SE number is its CVR
        number. What is not eight digits is not asked for, and has no name. Without the cache all are asked for; without
        CVR, the names are those of the cache and not complete.
        """
        numbers = sorted({number for number in numbers if _NUMBER.fullmatch(number)})
        known, cache_answers = await self._from_cache(numbers)
        missing = [number for number in numbers if number not in known]
        found: dict[str, _Named] = {}
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

    async def _ask(self, numbers: Sequence[str]) -> _Found:
        """The names of these alone: what was not asked for is not put into everybody's cache."""
        found = await self._upstream.ask(Exchange(lambda _: self._question(numbers), _read))
        by_number = {number: found.by_number[number] for number in numbers if number in found.by_number}
        return _Found(by_number, found.left_out)

    async def _from_cache(self, numbers: Sequence[str]) -> tuple[dict[str, str], bool]:
        """The names that the cache holds, and whether it answers at all."""
        if not numbers:
            return {}, True
        try:
            values = await self._cache.mget([_key(number) for number in numbers])
        except REDIS_DOWN as error:
            log.warning("employer_names_not_cached", detail=type(error).__name__)
            return {}, False
        names = ((number, self._kept(_key(number), value)) for number, value in zip(numbers, values, strict=True))
        return {number: name for number, name in names if name}, True

    def _kept(self, key: str, value: object) -> str | None:
        """The name that a value of the cache is; a sealed one that does not open is as good as none."""
        if not isinstance(value, bytes):
            return None
        if sealed_with(value) is None:
            return _usable(value.decode("utf-8", errors="replace"))
        try:
            return _usable(self._sealer.open(value, key).decode())
        except Unreadable as error:
            metrics.UNREADABLE.labels("employer").inc()
            log.error("employer_name_unreadable", detail=str(error))
            return None

    async def _keep(self, found: Mapping[str, _Named]) -> None:
        try:
            async with self._cache.pipeline(transaction=False) as pipeline:
                for number, named in found.items():
                    key, value = _key(number), named.name.encode()
                    kept = self._sealer.seal(value, key) if named.is_a_persons else value
                    pipeline.set(key, kept, px=self._settings.names_for)
                await pipeline.execute()
        except REDIS_DOWN as error:
            log.warning("employer_names_not_cached", detail=type(error).__name__)

    def _question(self, numbers: Sequence[str]) -> Question:
        search = {
            "query": {"terms": {_CVR_NUMBER: [int(number) for number in numbers]}},
            "_source": list(_WANTED),
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


def _read(answer: Answer) -> _Found:
    """The names of those that have one. Raises CallFailed; also when not every part of the index answered.

    A hit that cannot be read is left out; when none can be, the answer is not of the contract.
    """
    if refusal := answer.refusal():
        raise refusal
    result = answer.model(_SearchResult)
    if result.is_partial:
        raise UpstreamUnavailable("the search covers only a part of the index")
    by_number: dict[str, _Named] = {}
    left_out: list[LeftOut] = []
    faults: list[str] = []
    hits = result.hits.hits[:NUMBERS_PER_CALL]
    for at, value in enumerate(hits, start=1):
        try:
            company = validated(_Hit, value).source.company
        except InvalidResponse as fault:
            faults.append(str(fault))
            left_out.append(LeftOut(COMPANY, f"hit {at}"))
            continue
        if not company.registered_by_mistake:
            named, unreadable = _name_of(company)
            left_out += (LeftOut(COMPANY_NAME, f"hit {at}, name {which}") for which in unreadable)
            if named:
                by_number[company.number] = named
    if faults and len(faults) == len(hits):
        raise InvalidResponse(faults[0])
    if len(hits) < len(result.hits.hits):
        left_out.append(LeftOut(COMPANY, f"after hit {NUMBERS_PER_CALL}"))
    return _Found(by_number, tuple(left_out))


def _name_of(company: _Company) -> tuple[_Named | None, Sequence[int]]:
    """Its newest name, else the last that it had; and which of those, counted from 1, could not be read."""
    newest = company.newest_name
    name, unreadable = (newest, ()) if newest else company.last_name()
    return (_Named(name, company.is_a_persons) if name else None), unreadable


def _each(model: type[PartT], values: object) -> tuple[list[PartT], list[int]]:
    """The items of a list, each read by itself, and which of them, counted from 1, were not."""
    if values is None:
        return [], []
    listed = values if isinstance(values, list) else [values]
    items: list[PartT] = []
    unreadable: list[int] = []
    for at, value in enumerate(listed[:MOST_OF_A_HISTORY], start=1):
        try:
            items.append(validated(model, value))
        except InvalidResponse:
            unreadable.append(at)
    if len(listed) > MOST_OF_A_HISTORY:
        unreadable.append(MOST_OF_A_HISTORY + 1)
    return items, unreadable


def _usable(name: str | None) -> str | None:
    """The name without white space around it; None when nothing is left, or too much to be a name."""
    stripped = (name or "").strip()
    return stripped if 0 < len(stripped) <= LONGEST_NAME else None


def _batches(numbers: Sequence[str]) -> Iterable[Sequence[str]]:
    return (numbers[at : at + NUMBERS_PER_CALL] for at in range(0, len(numbers), NUMBERS_PER_CALL))


def _key(number: str) -> str:
    return f"employer:{number}"
