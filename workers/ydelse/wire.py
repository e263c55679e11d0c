"""The answer of VisiteringOgStatus to `getYdelses`; path, `ydelsestype` and `samtidigJob` are assumptions."""

from typing import Self

from pydantic import Field, model_validator

from workers.gateway import IsoDate, Many, Name, WireModel


class Ydelse(WireModel):
    """One period with one benefit, both days included. A missing `slutdato` is unknown (R5)."""

    civil_registration_identifier: str = Field(alias="civilRegistrationIdentifier")
    ky_ydelses_identifier: Name = Field(alias="kyYdelsesIdentifier")
    startdato: IsoDate
    slutdato: IsoDate | None = None
    ydelsestype: str
    samtidig_job: bool = Field(alias="samtidigJob")

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if self.slutdato is not None and self.slutdato < self.startdato:
            raise ValueError("slutdato is before startdato")
        return self


class Ydelser(WireModel):
    """The list, which the gateway wraps once more."""

    ydelse: Many[Ydelse]


class YdelseSvar(WireModel):
    """The whole answer about one citizen."""

    ydelser: Ydelser
