"""Model of bookings: a time that is offered, whose id is all that a booking of it takes, and a meeting."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

from registerbro.upstreams.wire_types import GUID_PATTERN

_FORMAT: Final = "%Y%m%dT%H%M%SZ"
_ID: Final = re.compile(rf"({GUID_PATTERN})\.([0-9]{{8}}T[0-9]{{6}}Z)\.([0-9]{{8}}T[0-9]{{6}}Z)")


class InvalidTimeId(ValueError):
    """A text is no id of a time. The message holds nothing of the text."""


@dataclass(frozen=True, slots=True)
class Time:
    """A time at which an offered meeting can be held: the offer's id, and two moments in whole seconds."""

    offer: str
    start: datetime
    end: datetime

    @property
    def id(self) -> str:
        """The time's id, opaque to portals: `<offer>.<start>.<end>`, in UTC; an `Identifier`."""
        return f"{self.offer}.{_written(self.start)}.{_written(self.end)}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The time with this id. Raises InvalidTimeId for a text that is the id of none."""
        found = _ID.fullmatch(text)
        if found is None:
            raise InvalidTimeId("not an offer and two moments")
        offer, *moments = found.groups()
        try:
            start, end = (datetime.strptime(one, _FORMAT).replace(tzinfo=UTC) for one in moments)
        except ValueError:
            raise InvalidTimeId("no moment") from None
        if end <= start:
            raise InvalidTimeId("the end is not after the start")
        return cls(offer, start, end)


@dataclass(frozen=True, slots=True)
class Meeting:
    """A time that is offered, or a meeting that is booked: when and where."""

    id: str
    start: datetime
    end: datetime
    place: str


def _written(moment: datetime) -> str:
    # strftime writes the year 33 as two digits, on some systems.
    return moment.astimezone(UTC).strftime(f"{moment.astimezone(UTC).year:04}%m%dT%H%M%SZ")
