"""The answer of DFDG's read operation for calendar and history, as it is spoken: an assumption, all of it."""

from typing import Annotated, Final, Self

from pydantic import Field, StringConstraints, model_validator

from workers.gateway import IsoDate, Many, Name, WireModel

JOBLOG: Final = "JOBLOG"
INDSATS: Final = "INDSATS"
FRAVAER: Final = "FRAVAER"
MOEDE: Final = "MOEDE"

KNOWN = {"type": frozenset({JOBLOG, INDSATS, FRAVAER, MOEDE})}
"""Field → the values that the contract knows. The models take any text, so that a new value fails nothing else."""

Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,99}$")]
FormattedText = Annotated[str, StringConstraints(max_length=50_000)]


class Kontaktgruppe(WireModel):
    """A contact group that the citizen is or was in, both days included. A missing `slutdato` is not yet."""

    kode: Annotated[int, Field(ge=0, lt=10_000)]
    startdato: IsoDate
    slutdato: IsoDate | None = None

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if self.slutdato is not None and self.slutdato < self.startdato:
            raise ValueError("slutdato is before startdato")
        return self


class Kalenderpost(WireModel):
    """One entry of the calendar, both days included. `tekst` is HTML, of a meeting that was held."""

    id: Identifier
    type: str
    titel: Name
    startdato: IsoDate
    slutdato: IsoDate
    afholdt: bool = False
    tekst: FormattedText | None = None

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if self.slutdato < self.startdato:
            raise ValueError("slutdato is before startdato")
        return self


class Bookingfrist(WireModel):
    """A deadline for booking a meeting; `aktiv` once it is set, `booket` once a meeting was booked."""

    id: Identifier
    frist: IsoDate
    moedetype: Name
    aktiv: bool
    booket: bool


class Stillingsbetegnelse(WireModel):
    """A job title of »Jeg søger job som«. `registreret` was lost for some when they moved here (§2.1)."""

    titel: Name
    registreret: IsoDate | None = None
    ophoert: IsoDate | None = None


class Borger(WireModel):
    """The whole answer about one citizen."""

    civil_registration_identifier: str = Field(alias="civilRegistrationIdentifier")
    kontaktgrupper: Many[Kontaktgruppe]
    kalender: Many[Kalenderpost]
    bookingfrister: Many[Bookingfrist]
    stillingsbetegnelser: Many[Stillingsbetegnelse]
