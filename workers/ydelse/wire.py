"""The answer of VisiteringOgStatus to `getYdelses`: a citizen's periods with a benefit.

Envelope, the person's number, the two days and `kontaktgruppeType` are published; the rest of a period is not. An item
that cannot be read is left out and named; only when none can be is the answer not of the contract. The number of the
case in the municipality's system, `kyYdelsesIdentifier`, is not read: it may be missing, and nothing needs it.
"""

from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import Field, model_validator

from registerbro.upstreams.item_reading import Items, each
from registerbro.upstreams.wire_types import IsoDate, WireModel

# ASSUMED: the path of getYdelses is `/v1/ydelse`, as that of the operation that writes a benefit. The heading of its
# page in STAR's wiki would settle it.

BENEFIT_OF_GROUP: Final[Mapping[int, str]] = {1: "DAGPENGE", 12: "UDDANNELSESHJAELP", 28: "OVERGANGSYDELSE"}
"""Contact group → the `ydelsestype` that its members receive.

ASSUMED: the benefit of a period without a known type is told by its contact group: 1, 12 or 28. The part of YdelseDto
that follows `kontaktgruppeType` would settle it.
"""

GROUP_BY_NAME: Final[Mapping[str, int]] = {
    "dagpengemodtagere": 1,
    "modtagerafuddannelseshjælp": 12,
    "uddannelsespålægovergangsydelsesmodtagerefterlab": 28,
}
"""The published names of those groups, in lower case and without what is no letter, for a register that sends names."""


class Ydelse(WireModel):
    """One period with one benefit, both days included. A missing `slutdato` is unknown (R5).

    ASSUMED: `ydelsestype` is the type, of ten values, and `samtidigJob` whether the citizen had a job meanwhile. The
    part of YdelseDto that follows `kontaktgruppeType` would settle it.
    """

    civil_registration_identifier: str = Field(alias="civilRegistrationIdentifier")
    startdato: IsoDate
    slutdato: IsoDate | None = None
    ydelsestype: object = None
    kontaktgruppe_type: object = Field(default=None, alias="kontaktgruppeType")
    samtidig_job: object = Field(default=None, alias="samtidigJob")

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> "Ydelse":
        if self.slutdato is not None and self.slutdato < self.startdato:
            raise ValueError("slutdato is before startdato")
        return self


class Ydelser(WireModel):
    """The list, each item of which is read by itself."""

    ydelse: Annotated[Items[Ydelse], each(Ydelse, "ydelse")]


class YdelseSvar(WireModel):
    """The whole answer about one citizen."""

    ydelser: Ydelser


def group(value: object) -> int | None:
    """The contact group that a code of any form names: its number, or its published name; None for any other."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, str):
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return int(text[:9])
    return GROUP_BY_NAME.get("".join(filter(str.isalpha, text)).lower())
