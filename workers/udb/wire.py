"""The answer of Ungedatabasen's read operation, as it is spoken: an assumption until the format is published."""

from typing import Final, Self

from pydantic import Field, model_validator

from workers.gateway import IsoDate, Many, Name, WireModel

UDDANNELSE: Final = "UDDANNELSE"
FGU: Final = "FGU"
STU: Final = "STU"

ERHVERVSKOMPETENCEGIVENDE: Final = "ERHVERVSKOMPETENCEGIVENDE"
KOMPETENCEGIVENDE: Final = "KOMPETENCEGIVENDE"
INGEN: Final = "INGEN"

IGANGVAERENDE: Final = "IGANGVAERENDE"
AFBRUDT: Final = "AFBRUDT"
GENNEMFOERT: Final = "GENNEMFOERT"

KNOWN = {
    "type": frozenset({UDDANNELSE, FGU, STU}),
    "kompetence": frozenset({ERHVERVSKOMPETENCEGIVENDE, KOMPETENCEGIVENDE, INGEN}),
    "status": frozenset({IGANGVAERENDE, AFBRUDT, GENNEMFOERT}),
}
"""Field → the values that the contract knows. The models take any text, so that a new value fails nothing else."""


class Institution(WireModel):
    """Where it takes place; for FGU and STU that is what the page shows."""

    nummer: Name
    navn: Name


class Uddannelsesforloeb(WireModel):
    """One education, FGU or STU. A missing `slutdato` is unknown, or not yet (R5)."""

    type: str
    navn: Name
    speciale: Name | None = None
    kompetence: str | None = None
    status: str
    institution: Institution
    startdato: IsoDate
    slutdato: IsoDate | None = None

    @model_validator(mode="after")
    def _an_education_says_its_kompetence(self) -> Self:
        if self.type == UDDANNELSE and self.kompetence is None:
            raise ValueError("kompetence is missing")
        return self


class Ungedata(WireModel):
    """The whole answer about one citizen."""

    civil_registration_identifier: str = Field(alias="civilRegistrationIdentifier")
    uddannelsesforloeb: Many[Uddannelsesforloeb]
