"""The vendor's format: an assumption, all but the 500 characters, so that the real one is a change here alone.

Fault reports are posted to PATH. Meetings: `GET /v1/tider` lists the times that are free before a deadline, and
`POST /v1/bookinger` books one of them. Who asks is an opaque reference of ours, and the deadline is one of DFDG's.
"""

from datetime import datetime
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, FailFast, Strict, StringConstraints

from config.windows import DENMARK
from workers.booking_vendor.outbox import Content

PATH = "/v1/fejlmeldinger"
TIMES_PATH = "/v1/tider"
BOOKINGS_PATH = "/v1/bookinger"

REFERENCE_HEADER = "x-borgerReference"
DEADLINE_HEADER = "x-bookingfrist"

TAKEN: Final = "OPTAGET"
ALREADY_BOOKED: Final = "ALLEREDE_BOOKET"
UNKNOWN: Final = "UKENDT"
KEY_REUSED: Final = "NOEGLE_GENBRUGT"
REFUSALS: dict[str, int] = {TAKEN: 409, ALREADY_BOOKED: 409, UNKNOWN: 404, KEY_REUSED: 422}
"""What `fejl` may say when a booking is refused, and the HTTP status with which it does."""


def _zoned(value: object) -> datetime:
    """Only a text such as `2023-03-15T09:00:00+01:00`: a time without a zone would be a guess."""
    if not isinstance(value, str):
        raise ValueError("not a text")  # noqa: TRY004 - pydantic takes a TypeError for a defect of ours
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError("no time zone")
    return moment


def _danish(moment: datetime) -> datetime:
    try:
        return moment.astimezone(DENMARK)
    except OverflowError:
        raise ValueError("outside the calendar") from None


Moment = Annotated[datetime, BeforeValidator(_zoned), AfterValidator(_danish)]
Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,99}$")]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]


class _WireModel(BaseModel):
    """A part of a message, in the vendor's vocabulary. What it holds is kept out of its repr."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", hide_input_in_errors=True)

    def __repr_args__(self) -> list[tuple[str | None, object]]:
        return []


class Fejlmelding(_WireModel):
    """A fault report. `fejlmeldingsId` is its idempotency key as well; no CPR number is ever a part of it."""

    fejlmeldingsId: str  # noqa: N815 - the vendor's own name
    beskrivelse: str
    oprettet: str
    side: str | None = None
    fejlkode: str | None = None


class Kvittering(_WireModel):
    """The vendor has the report, under this case number."""

    sagsnummer: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]


class Tid(_WireModel):
    """A time at which a meeting can be booked."""

    id: Identifier
    start: Moment
    slut: Moment
    sted: Text


class Tider(_WireModel):
    """The times that are free."""

    tider: Annotated[tuple[Tid, ...], Strict(False), FailFast()]  # noqa: FBT003 - a JSON array is a list


class Booking(_WireModel):
    """A meeting that is booked."""

    id: Identifier
    start: Moment
    slut: Moment
    sted: Text


class Bookingoenske(_WireModel):
    """What is wished for: this time, for this deadline."""

    reference: str
    frist: str
    tid: str


class Afvisning(_WireModel):
    """Why a booking is refused."""

    fejl: str


def fejlmelding(report_id: str, accepted_at: datetime, content: Content) -> bytes:
    """The body of a report; `oprettet` is when we accepted it, in Danish time."""
    return (
        Fejlmelding(
            fejlmeldingsId=report_id,
            beskrivelse=content.text,
            oprettet=accepted_at.astimezone(DENMARK).isoformat(timespec="seconds"),
            side=content.page,
            fejlkode=content.error_code,
        )
        .model_dump_json(exclude_none=True)
        .encode()
    )
