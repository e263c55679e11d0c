"""The normalised page: which sections there are, where each comes from, and what an item of each holds (R2)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt

UNAVAILABLE_TEXT = "Der er lige nu problemer med at hente oplysninger. Prøv igen senere"
"""What a citizen reads in place of a section whose data cannot be fetched (R8)."""

Name = str
Year = PositiveInt


class Item(BaseModel):
    """One line of a section. Dates are calendar days; an unknown year or end is None, and is shown as »Ukendt« (R5)."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Status(StrEnum):
    """How far an education came."""

    ONGOING = "ongoing"
    INTERRUPTED = "interrupted"
    COMPLETED = "completed"


class CompletedEducation(Item):
    """Section A: an education that gives a competence, and the year it was completed."""

    name: Name
    year: Year | None


class StartedEducation(Item):
    """Section B: the year is that of the start while ongoing, and of the interruption when interrupted."""

    name: Name
    status: Literal[Status.ONGOING, Status.INTERRUPTED]
    year: Year | None


class SuAttempts(Item):
    """Section C: how many ungdomsuddannelser were begun with SU (R6). Nought is no item at all."""

    count: NonNegativeInt


class FguCourse(Item):
    """Section D: Forberedende Grunduddannelse."""

    place: Name
    speciality: Name | None
    status: Status
    start: date | None
    end: date | None


class StuCourse(Item):
    """Section E: Særligt Tilrettelagt Ungdomsuddannelse."""

    place: Name
    status: Status
    start: date | None
    end: date | None


class Employment(Item):
    """Overview 2: one period at one employer (R3)."""

    employer: Name
    start: date
    end: date | None


class Benefit(Item):
    """Overview 3: one period with one type of benefit (R4); `concurrent_job` is »samtidig i job«."""

    type: Name
    start: date
    end: date | None
    concurrent_job: bool


SectionItems = Mapping[str, Sequence[Item]]
"""Section id → its items, in the order in which they are shown."""


@dataclass(frozen=True, slots=True)
class UnknownValue:
    """A value that the contract with a register does not know: its item was left out, and this says so."""

    field: str
    value: str


@dataclass(frozen=True, slots=True)
class Normalised:
    """What one register's answer comes to: the items of each of its sections, and what had to be left out."""

    sections: SectionItems
    unknown: tuple[UnknownValue, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """One element of the page: `register` is where it comes from, `source` how the page names that."""

    id: str
    overview: str
    register: str
    source: str
    item: type[Item]


UDB, SU, EINDKOMST, YDELSE = "udb", "su", "eindkomst", "ydelse"

SECTIONS: tuple[Section, ...] = (
    Section("completed_educations", "education", UDB, "Ungedatabasen (UDB)", CompletedEducation),
    Section("started_educations", "education", UDB, "Ungedatabasen (UDB)", StartedEducation),
    Section("su_attempts", "education", SU, "SU", SuAttempts),
    Section("fgu", "education", UDB, "Ungedatabasen (UDB)", FguCourse),
    Section("stu", "education", UDB, "Ungedatabasen (UDB)", StuCourse),
    Section("employments", "employment", EINDKOMST, "eIndkomst", Employment),
    Section("benefits", "benefits", YDELSE, "STARs Ydelsesregister", Benefit),
)
"""Every section, in the order of the page."""

OVERVIEWS: tuple[str, ...] = tuple(dict.fromkeys(section.overview for section in SECTIONS))
REGISTERS: tuple[str, ...] = tuple(dict.fromkeys(section.register for section in SECTIONS))


def sections_of(register: str) -> tuple[Section, ...]:
    """The sections that `register` fills; empty when there is no such register."""
    return tuple(section for section in SECTIONS if section.register == register)
