"""CVR's search as it is spoken: the fields that are asked for, and which company an answer names.

A hit that cannot be read is left out and named; the others are used.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, Field

from domain.overview import LeftOut
from registerbro.upstreams.errors import InvalidResponse, UpstreamUnavailable
from registerbro.upstreams.messages import Answer, validated
from registerbro.upstreams.wire_types import WireModel

PartT = TypeVar("PartT", bound=BaseModel)

NUMBERS_PER_CALL = 1000
"""Far below the 10,000 hits at which Elasticsearch stops by default; more than any citizen has employers."""
LONGEST_NAME = 300
"""As for every other name that a register gives."""
MOST_OF_A_HISTORY = 100
"""How many names, or forms, of one company are looked at: no company had so many, and an answer may hold a million."""

COMPANY, COMPANY_NAME = "company", "company_name"
"""Kinds of items that are left out: a hit, and a name in the history of a company without a newest name."""

FORMS_OF_NO_PERSON = frozenset(
    {60, 70, 80, 90, 100, 110, 115, 130, 140, 150, 160, 170, 180, 190, 195, 196, 230, 240, 245, 250, 260, 290}
)
"""The forms of companies that no human being is, nor a few who trade under their own names: companies with limited
liability, foundations, associations, public bodies. Danmarks Statistik, »Virksomhedsformer i Det Erhvervsstatistiske
Register«, 1 August 2008. Not in it are 10 (enkeltmandsvirksomhed), 15 (personligt ejet mindre virksomhed), 20 (dødsbo),
30 (interessentskab), 40, 50, those abroad of any form, 990 (not stated), and whatever came since: it could be a person.
"""

_COMPANY = "Vrvirksomhed"
CVR_NUMBER = f"{_COMPANY}.cvrNummer"
WANTED = (
    CVR_NUMBER,
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
class Named:
    """A company's name; `is_a_persons` is whether it could be that of a human being."""

    name: str = field(repr=False)
    is_a_persons: bool


@dataclass(frozen=True, slots=True)
class Found:
    """Result of an answer."""

    by_number: Mapping[str, Named]
    left_out: tuple[LeftOut, ...]


def _day(value: object) -> object:
    return date.fromisoformat(value) if isinstance(value, str) else value


_Day = Annotated[date, BeforeValidator(_day)]


class _Period(WireModel):
    start: _Day | None = Field(default=None, alias="gyldigFra")
    end: _Day | None = Field(default=None, alias="gyldigTil")


class _Dated(WireModel):
    """Something that a company had for a while."""

    period: _Period | None = Field(default=None, alias="periode")

    @property
    def until(self) -> tuple[bool, date, date]:
        """Sort key that puts the newest last: until when it was valid, and from when."""
        if self.period is None:
            return False, date.min, date.min
        return True, self.period.end or date.max, self.period.start or date.min


class PastName(_Dated):
    name: str | None = Field(default=None, alias="navn")


class _NewestName(WireModel):
    name: str | None = Field(default=None, alias="navn")


class Form(_Dated):
    code: int = Field(alias="virksomhedsformkode")


class _Metadata(WireModel):
    newest_name: _NewestName | None = Field(default=None, alias="nyesteNavn")
    newest_form: object = Field(default=None, alias="nyesteVirksomhedsform")


class _Company(WireModel):
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
        return usable_name(self.metadata.newest_name.name)

    @property
    def is_a_persons(self) -> bool:
        """Whether its name could be a human being's; also when its form is missing or unreadable."""
        form = self.metadata.newest_form if self.metadata else None
        forms, unreadable = _each(Form, self.forms if form is None else [form])
        newest = max(forms, key=lambda one: one.until, default=None)
        return bool(unreadable) or newest is None or newest.code not in FORMS_OF_NO_PERSON

    def last_name(self) -> tuple[str | None, Sequence[int]]:
        """The newest of all its names, and which of them, counted from 1, could not be read."""
        names, unreadable = _each(PastName, self.names)
        usable = [one for one in names if usable_name(one.name)]
        newest = max(usable, key=lambda one: one.until, default=None)
        return (usable_name(newest.name) if newest else None), unreadable


class _Source(WireModel):
    company: _Company = Field(alias="Vrvirksomhed")


class Hit(WireModel):
    source: _Source = Field(alias="_source")


class _Hits(WireModel):
    hits: list[object]


class _Shards(WireModel):
    failed: int = 0


class SearchResult(WireModel):
    hits: _Hits
    timed_out: bool = False
    shards: _Shards = Field(default=_Shards(), alias="_shards")

    @property
    def is_partial(self) -> bool:
        return self.timed_out or self.shards.failed > 0


def read(answer: Answer) -> Found:
    """Reads the companies' names. Raises CallFailed; also when not every part of the index answered.

    A hit that cannot be read is left out; when none can be, the answer is not of the contract.
    """
    if refusal := answer.refusal():
        raise refusal
    result = answer.model(SearchResult)
    if result.is_partial:
        raise UpstreamUnavailable("the search covers only a part of the index")
    by_number: dict[str, Named] = {}
    left_out: list[LeftOut] = []
    faults: list[str] = []
    hits = result.hits.hits[:NUMBERS_PER_CALL]
    for at, value in enumerate(hits, start=1):
        try:
            company = validated(Hit, value).source.company
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
    return Found(by_number, tuple(left_out))


def _name_of(company: _Company) -> tuple[Named | None, Sequence[int]]:
    """Its newest name, else the last that it had; and which of those, counted from 1, could not be read."""
    newest = company.newest_name
    name, unreadable = (newest, ()) if newest else company.last_name()
    return (Named(name, company.is_a_persons) if name else None), unreadable


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


def usable_name(name: str | None) -> str | None:
    """The name without white space around it; None when nothing is left, or too much to be a name."""
    stripped = (name or "").strip()
    return stripped if 0 < len(stripped) <= LONGEST_NAME else None
