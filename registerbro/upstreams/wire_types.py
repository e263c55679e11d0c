"""Wire types: the base of every payload model, and the types of values that the registers' contracts share."""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Annotated, Final, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field, Strict, StringConstraints

from domain.service_windows import DENMARK

T = TypeVar("T")

_DATE_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?(?:Z|[+-][0-9]{2}:[0-9]{2})?"
)


def _iso_date(value: object) -> date:
    """Only `2023-03-13`: the parser's other forms (numbers, times, weeks) would be guesses at what is meant."""
    if not isinstance(value, str):
        raise ValueError("not a text")  # noqa: TRY004 - pydantic takes a TypeError for a defect of ours
    day = date.fromisoformat(value)
    if day.isoformat() != value:
        raise ValueError("not year-month-day")
    return day


def _moment(value: object) -> datetime:
    """Only `2023-03-13T09:00:00+01:00`, with or without seconds, their parts and the zone."""
    if not isinstance(value, str):
        raise ValueError("not a text")  # noqa: TRY004 - pydantic takes a TypeError for a defect of ours
    if not _DATE_TIME.fullmatch(value):
        raise ValueError("not a date-time")
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=DENMARK)
    try:
        # By way of UTC: a time that the change to summer time leaves out becomes the one that it is.
        return moment.astimezone(UTC).astimezone(DENMARK)
    except OverflowError:
        raise ValueError("outside the calendar") from None


def _number(value: object) -> object:
    """A number, also one that is written as a text; anything else as it is."""
    is_number = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 9
    return int(str(value)) if is_number else value


def _danish_day(value: object) -> date:
    return _moment(value).date() if isinstance(value, str) and "T" in value else _iso_date(value)


IsoDate = Annotated[date, BeforeValidator(_iso_date)]
Moment = Annotated[datetime, BeforeValidator(_moment)]
"""A date-time, in Danish time. One without a zone is Danish; the hour that comes twice in autumn is then the first."""
DanishDay = Annotated[date, BeforeValidator(_danish_day)]
"""A day: one that is written as such, or the Danish day of a moment."""
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]
Many = Annotated[tuple[T, ...], Strict(False), FailFast()]  # noqa: FBT003 - a JSON array is a list, which strict refuses
"""Fails at its first wrong item: an error that lists a million would take a worker's memory."""
IDENTIFIER_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,99}$"
Identifier = Annotated[str, StringConstraints(pattern=IDENTIFIER_PATTERN)]
"""An id that another system gave: it fits into a URL, a header and a log line as it is."""

GUID_PATTERN = r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
Guid = Annotated[str, StringConstraints(pattern=rf"^{GUID_PATTERN}$")]
"""A GUID as it is written: it is sent back letter by letter."""
Code = Annotated[
    Annotated[int, Field(ge=0, lt=1_000_000_000)]
    | Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_.]{0,39}$")],
    BeforeValidator(_number),
]
"""A value of a code list; any, so that a new one fails nothing else. It may be a part of an `Identifier`."""


class WireModel(BaseModel):
    """A part of a message, in the vocabulary of the system that defined it. Its repr shows no value of a citizen."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", hide_input_in_errors=True)

    def __repr_args__(self) -> Iterable[tuple[str | None, object]]:
        return ()
