"""The vendor's format: an assumption, all but the 500 characters, so that the real one is a change here alone."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

from config.windows import DENMARK
from workers.booking_vendor.outbox import Content

PATH = "/v1/fejlmeldinger"


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
