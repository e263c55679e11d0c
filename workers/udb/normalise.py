"""What Ungedatabasen's answer comes to on the page: sections A, B, D and E (R2)."""

from datetime import date

from workers.domain.overview import CompletedEducation, FguCourse, Normalised, StartedEducation, Status, StuCourse
from workers.domain.periods import newest_first
from workers.udb import wire
from workers.udb.wire import Uddannelsesforloeb, Ungedata
from workers.vocabulary import known_only, normalised

_STATUS = {
    wire.IGANGVAERENDE: Status.ONGOING,
    wire.AFBRUDT: Status.INTERRUPTED,
    wire.GENNEMFOERT: Status.COMPLETED,
}


def normalise(answer: Ungedata | None) -> Normalised:
    """The four sections that UDB fills, newest first (R2); None, an unknown person, leaves all of them empty.

    A completed education without a competence is in none. Raises InvalidResponse when nothing is left to show but
    what the contract does not know (R8).
    """
    known, unknown = known_only(answer.uddannelsesforloeb if answer else (), wire.KNOWN)
    courses = newest_first(known, start=lambda course: course.startdato, end=_end, name=_name)
    educations = [course for course in courses if course.type == wire.UDDANNELSE]
    return normalised(
        {
            "completed_educations": [_completed(course) for course in educations if _gives_competence(course)],
            "started_educations": [_started(course) for course in educations if course.status != wire.GENNEMFOERT],
            "fgu": [_fgu(course) for course in courses if course.type == wire.FGU],
            "stu": [_stu(course) for course in courses if course.type == wire.STU],
        },
        unknown,
    )


def _end(course: Uddannelsesforloeb) -> date | None:
    """The end to sort by: the status says what is ongoing, and an end that is unknown comes after the known ones."""
    return None if course.status == wire.IGANGVAERENDE else course.slutdato or date.min


def _name(course: Uddannelsesforloeb) -> str:
    """The name to sort by, and then all else that is shown, so that the register's own order never shows."""
    name = course.navn if course.type == wire.UDDANNELSE else course.institution.navn
    return "\n".join((name, course.speciale or "", course.status, str(course.slutdato)))


def _gives_competence(course: Uddannelsesforloeb) -> bool:
    return course.status == wire.GENNEMFOERT and course.kompetence != wire.INGEN


def _completed(course: Uddannelsesforloeb) -> CompletedEducation:
    return CompletedEducation(name=course.navn, year=_year(course.slutdato))


def _started(course: Uddannelsesforloeb) -> StartedEducation:
    if course.status == wire.IGANGVAERENDE:
        return StartedEducation(name=course.navn, status=Status.ONGOING, year=_year(course.startdato))
    return StartedEducation(name=course.navn, status=Status.INTERRUPTED, year=_year(course.slutdato))


def _fgu(course: Uddannelsesforloeb) -> FguCourse:
    return FguCourse(
        place=course.institution.navn,
        speciality=course.speciale,
        status=_STATUS[course.status],
        start=course.startdato,
        end=course.slutdato,
    )


def _stu(course: Uddannelsesforloeb) -> StuCourse:
    return StuCourse(
        place=course.institution.navn, status=_STATUS[course.status], start=course.startdato, end=course.slutdato
    )


def _year(day: date | None) -> int | None:
    return day.year if day else None
