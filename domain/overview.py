"""What is kept, normalised: which sections there are, where each comes from, and what an item of each holds (R2, R10).

Most are the page's, »Oplysninger om dig«; the others are shown elsewhere.
"""

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
    """Overview 3: one period with one type of benefit (R4).

    `concurrent_job` is »samtidig i job«; None where the register does not say, and shown as »Ukendt« (R5).
    """

    type: Name
    start: date
    end: date | None
    concurrent_job: bool | None


class EntryKind(StrEnum):
    """What a calendar shows beside the deadline, each in a colour of its own (§3.2)."""

    JOBLOG = "joblog"
    ACTIVITY = "activity"
    ABSENCE = "absence"
    MEETING = "meeting"


class CalendarEntry(Item):
    """Something in the calendar, on all days from `start` to `end` (§3.2); None while no end is known.

    `text` is what was agreed at a meeting that was `held`: HTML of which nothing is left but plain formatting.
    """

    id: Name
    kind: EntryKind
    title: Name
    start: date
    end: date | None
    held: bool
    text: str | None


class BookingDeadline(Item):
    """The last day on which a meeting is to be booked; shown while `active`, until it has passed.

    Once a meeting is booked, it is not active. `id` is made of the type and the day, since the register has none.
    """

    id: Name
    deadline: date
    meeting_type: Name
    active: bool


class JobTitle(Item):
    """A title from »Jeg søger job som«; a date that was lost is None, and is shown as »Ukendt« (§2.1, §3.4)."""

    title: Name
    registered: date | None
    ended: date | None


class ContactGroupPeriod(Item):
    """A contact group, open on all days from `start` to `end`; None while no end is known (§2.2)."""

    group: int
    start: date
    end: date | None


SectionItems = Mapping[str, Sequence[Item]]
"""Section id → its items, in the order in which they are shown."""


@dataclass(frozen=True, slots=True)
class UnknownValue:
    """A value that the contract with a register does not know: its item was left out, and this says so."""

    field: str
    value: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An item of an answer that could not be read, and was left out for the sake of the others.

    `kind` is a short constant, such as "period"; `place` says where it stood, such as "report 17". Neither ever holds
    anything of what the item held.
    """

    kind: str
    place: str


@dataclass(frozen=True, slots=True)
class Normalised:
    """What one register's answer comes to: the items of each of its sections, and what had to be left out."""

    sections: SectionItems
    unknown: tuple[UnknownValue, ...] = ()
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """One element: `register` is where it comes from, `source` how that is named to citizens.

    `overview` is the part of the page that it stands in; None for what is shown elsewhere.
    """

    id: str
    overview: str | None
    register: str
    source: str
    item: type[Item]


UDB, SU, EINDKOMST, YDELSE = "udb", "su", "eindkomst", "ydelse"
VISITERING, KONTAKTFORLOEB, JOBSEARCH, BORGERINDSATS = "visitering", "kontaktforloeb", "jobsearch", "borgerindsats"

_DFDG = "Det fælles datagrundlag (DFDG)"

KEPT: tuple[Section, ...] = (
    Section("completed_educations", "education", UDB, "Ungedatabasen (UDB)", CompletedEducation),
    Section("started_educations", "education", UDB, "Ungedatabasen (UDB)", StartedEducation),
    Section("su_attempts", "education", SU, "SU", SuAttempts),
    Section("fgu", "education", UDB, "Ungedatabasen (UDB)", FguCourse),
    Section("stu", "education", UDB, "Ungedatabasen (UDB)", StuCourse),
    Section("employments", "employment", EINDKOMST, "eIndkomst", Employment),
    Section("benefits", "benefits", YDELSE, "STARs Ydelsesregister", Benefit),
    Section("contact_groups", None, VISITERING, _DFDG, ContactGroupPeriod),
    Section("absences", None, VISITERING, _DFDG, CalendarEntry),
    Section("meetings", None, KONTAKTFORLOEB, _DFDG, CalendarEntry),
    Section("deadlines", None, KONTAKTFORLOEB, _DFDG, BookingDeadline),
    Section("job_titles", None, JOBSEARCH, _DFDG, JobTitle),
    Section("activities", None, BORGERINDSATS, _DFDG, CalendarEntry),
    Section("joblog", None, BORGERINDSATS, _DFDG, CalendarEntry),
)
"""Every section that is kept; those of the page in its order."""

SECTIONS: tuple[Section, ...] = tuple(section for section in KEPT if section.overview is not None)
"""Every section of the page, in its order."""

CALENDAR: tuple[Section, ...] = tuple(section for section in KEPT if section.item in {CalendarEntry, BookingDeadline})
"""The parts of the calendar."""

OVERVIEWS: tuple[str, ...] = tuple(dict.fromkeys(section.overview for section in SECTIONS if section.overview))
REGISTERS: tuple[str, ...] = tuple(dict.fromkeys(section.register for section in SECTIONS))
"""The registers of the page."""


def sections_of(register: str) -> tuple[Section, ...]:
    """The sections that `register` fills; empty when there is no such register."""
    return tuple(section for section in KEPT if section.register == register)
