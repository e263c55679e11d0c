"""Education courses: folds the events that a register sends about a citizen's educations into courses (R2).

An event says what happened (admission, danger of dropping out, interruption, completion) and when; a course is what the
page shows. `fold` is a pure function, and its result does not depend on the order in which the events came:

- All events of one education at one institution are one course, however often the citizen was admitted to it: the
  register sends an admission at each change of school period or speciality. The latest speciality is shown.
- A completion ends the course, also after an interruption. An admission after it begins another course.
- An interruption with the reason »Ej mødt« takes back the attempt that it ends, since the citizen never came. An
  earlier attempt, which was interrupted before the admission to this one, stays interrupted.
- An event that says the same again, with the id of another, counts once.
- Events of one day are in the order of their kinds. An event without a date (R5) is the first when it is an admission,
  and otherwise the last.
"""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace
from datetime import date
from enum import IntEnum
from typing import Generic, TypeVar

from domain.overview import Status


class Kind(IntEnum):
    """Kinds of events, in the order in which those of one day happened."""

    ADMISSION = 1
    DANGER = 2
    INTERRUPTION = 3
    NEVER_MET = 4
    """An interruption by which the admission never came about."""
    COMPLETION = 5


DetailsT = TypeVar("DetailsT", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Event(Generic[DetailsT]):
    """One event. `course` tells apart education and institution; `details` are what is shown of them beside that.

    An event without an `id`, which is empty then, is told by all that it says.
    """

    id: str
    kind: Kind
    day: date | None
    course: Hashable
    details: DetailsT
    speciality: str | None = None

    def order(self) -> tuple[object, ...]:
        """Sort key: by date, then kind; what is left of it only makes the order one."""
        unknown = date.min if self.kind is Kind.ADMISSION else date.max
        return self.day or unknown, self.kind, self.speciality or "", repr(self.details), self.id


@dataclass(frozen=True, slots=True)
class Course(Generic[DetailsT]):
    """One course; an unknown day is None (R5). `details` are those of its latest event."""

    details: DetailsT
    status: Status
    start: date | None
    end: date | None
    speciality: str | None


@dataclass(frozen=True, slots=True)
class _Attempt(Generic[DetailsT]):
    """A course while its events are read; `before` is the interrupted one that was taken up again."""

    course: Course[DetailsT]
    before: "_Attempt[DetailsT] | None" = None


def fold(events: Iterable[Event[DetailsT]]) -> list[Course[DetailsT]]:
    """The courses that these events tell of, in no certain order."""
    by_course: dict[Hashable, _Folding[DetailsT]] = {}
    for event in sorted(_each_once(events), key=Event.order):
        by_course.setdefault(event.course, _Folding()).take(event)
    return [course for of_one in by_course.values() for course in of_one.courses()]


def _each_once(events: Iterable[Event[DetailsT]]) -> Iterable[Event[DetailsT]]:
    """Of events with one id, the last in order: a corrected event has the id of the one it corrects."""
    by_id: dict[Hashable, Event[DetailsT]] = {}
    for event in events:
        known = by_id.get(event.id or event)
        if known is None or (known.order(), repr(known.course)) < (event.order(), repr(event.course)):
            by_id[event.id or event] = event
    return by_id.values()


class _Folding(Generic[DetailsT]):
    """Folds the events of one education at one institution, given in order, into its courses."""

    def __init__(self) -> None:
        self._ended: list[Course[DetailsT]] = []
        self._attempt: _Attempt[DetailsT] | None = None
        self._never_begun: Course[DetailsT] | None = None
        """What »Ej mødt« took back. A completion shows that it was begun all the same."""

    def courses(self) -> list[Course[DetailsT]]:
        """The courses of the events so far."""
        return [*self._ended, self._attempt.course] if self._attempt else self._ended

    def take(self, event: Event[DetailsT]) -> None:
        """Takes the next event."""
        if self._attempt is not None and self._attempt.course.status is Status.COMPLETED:
            if event.kind not in {Kind.ADMISSION, Kind.COMPLETION}:
                return
            if event.kind is Kind.ADMISSION:
                self._ended.append(self._attempt.course)
                self._attempt = self._never_begun = None
        match event.kind:
            case Kind.ADMISSION:
                self._admit(event)
            case Kind.DANGER if self._attempt is None:
                self._attempt = _Attempt(_begun(event))
            case Kind.INTERRUPTION:
                self._end(event, Status.INTERRUPTED)
            case Kind.NEVER_MET if self._attempt is not None:
                self._take_back(self._attempt)
            case Kind.COMPLETION:
                self._end(event, Status.COMPLETED)

    def _admit(self, event: Event[DetailsT]) -> None:
        if self._attempt is None:
            self._attempt = _Attempt(replace(_begun(event), start=event.day))
            return
        course = self._attempt.course
        before = self._attempt if course.status is Status.INTERRUPTED else self._attempt.before
        self._attempt = _Attempt(_changed(course, event, Status.ONGOING, None), before)

    def _end(self, event: Event[DetailsT], status: Status) -> None:
        course = self._attempt.course if self._attempt else None
        if course is None:
            course = (self._never_begun if status is Status.COMPLETED else None) or _begun(event)
        before = self._attempt.before if self._attempt else None
        self._attempt = _Attempt(_changed(course, event, status, event.day), before)

    def _take_back(self, attempt: _Attempt[DetailsT]) -> None:
        self._never_begun = attempt.course
        self._attempt = attempt.before


def _begun(event: Event[DetailsT]) -> Course[DetailsT]:
    """A course that began on an unknown day."""
    return Course(event.details, Status.ONGOING, None, None, event.speciality)


def _changed(course: Course[DetailsT], event: Event[DetailsT], status: Status, end: date | None) -> Course[DetailsT]:
    return Course(event.details, status, course.start, end, event.speciality or course.speciality)
