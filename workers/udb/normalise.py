"""Normalising of Ungedatabasen's answer: events become courses, and these sections A, B, D and E (R2)."""

from dataclasses import dataclass
from datetime import date

from domain.education_courses import Course, Event, Kind, fold
from domain.overview import CompletedEducation, FguCourse, Normalised, StartedEducation, Status, StuCourse
from domain.periods import newest_first
from registerbro.refresh.unknown_values import known_only, normalised
from registerbro.upstreams.errors import InvalidResponse
from registerbro.upstreams.item_reading import left_out, readable
from workers.udb import wire
from workers.udb.wire import Haendelse, Haendelser

_KINDS = {
    wire.OPTAGELSE: Kind.ADMISSION,
    wire.FARE_FOR_AFBRUD: Kind.DANGER,
    wire.AFBRUD: Kind.INTERRUPTION,
    wire.FULDFOERELSE: Kind.COMPLETION,
}


@dataclass(frozen=True, slots=True)
class _Details:
    """What is shown of an education and its institution."""

    type: str
    name: str
    place: str
    kompetence: str | None


_Course = Course[_Details]


def normalise(answer: Haendelser | None) -> Normalised:
    """The four sections that UDB fills, newest first (R2); None, an unknown person, leaves all of them empty.

    A completed education without a competence is in none. An event that cannot be read, or has a value that the
    contract does not know, is left out. Raises InvalidResponse when nothing is left to show but such events (R8).
    """
    events = answer.haendelser if answer else ()
    odd = left_out(events)
    known, unknown = known_only(readable(events), wire.KNOWN)
    courses = newest_first(fold(map(_event, known)), start=lambda course: course.start, end=_end, name=_name)
    educations = [course for course in courses if course.details.type == wire.UDDANNELSE]
    found = normalised(
        {
            "completed_educations": [_completed(course) for course in educations if _gives_competence(course)],
            "started_educations": [_started(course) for course in educations if course.status is not Status.COMPLETED],
            "fgu": [_fgu(course) for course in courses if course.details.type == wire.FGU],
            "stu": [_stu(course) for course in courses if course.details.type == wire.STU],
        },
        unknown,
    )
    if odd and not any(found.sections.values()):
        kinds = ", ".join(sorted({one.kind for one in odd}))
        raise InvalidResponse(f"nothing is left of the answer without what cannot be read: {kinds}")
    return Normalised(found.sections, found.unknown, odd)


def _event(event: Haendelse) -> Event[_Details]:
    education, institution = event.uddannelse, event.institution
    kind = _KINDS[event.haendelsestype]
    if kind is Kind.INTERRUPTION and (event.aarsag or "").strip().casefold() == wire.EJ_MOEDT:
        kind = Kind.NEVER_MET
    return Event(
        id=event.haendelses_identifier or "",
        kind=kind,
        day=event.dato,
        course=(institution.nummer or institution.navn, education.kode or education.navn, education.type),
        details=_Details(education.type, education.navn, institution.navn, education.kompetence),
        speciality=event.speciale,
    )


def _end(course: _Course) -> date | None:
    """The end to sort by: the status says what is ongoing, and an end that is unknown comes after the known ones."""
    return None if course.status is Status.ONGOING else course.end or date.min


def _name(course: _Course) -> str:
    """The name to sort by, and then all else that is shown, so that the register's own order never shows."""
    name = course.details.name if course.details.type == wire.UDDANNELSE else course.details.place
    return "\n".join((name, course.speciality or "", course.status, str(course.end)))


def _gives_competence(course: _Course) -> bool:
    return course.status is Status.COMPLETED and course.details.kompetence != wire.INGEN


def _completed(course: _Course) -> CompletedEducation:
    return CompletedEducation(name=course.details.name, year=_year(course.end))


def _started(course: _Course) -> StartedEducation:
    if course.status is Status.ONGOING:
        return StartedEducation(name=course.details.name, status=Status.ONGOING, year=_year(course.start))
    return StartedEducation(name=course.details.name, status=Status.INTERRUPTED, year=_year(course.end))


def _fgu(course: _Course) -> FguCourse:
    return FguCourse(
        place=course.details.place,
        speciality=course.speciality,
        status=course.status,
        start=course.start,
        end=course.end,
    )


def _stu(course: _Course) -> StuCourse:
    return StuCourse(place=course.details.place, status=course.status, start=course.start, end=course.end)


def _year(day: date | None) -> int | None:
    return day.year if day else None
