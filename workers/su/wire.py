"""The answer of SU, as it is spoken: an assumption until the format is published."""

from typing import Final

from pydantic import Field

from registerbro.upstreams.wire_types import IsoDate, Many, Name, WireModel

UNGDOMSUDDANNELSE: Final = "UNGDOMSUDDANNELSE"
VIDEREGAAENDE: Final = "VIDEREGAAENDE"

KNOWN = {"uddannelsestype": frozenset({UNGDOMSUDDANNELSE, VIDEREGAAENDE})}
"""Field → the values that the contract knows. The models take any text, so that a new value fails nothing else."""


class Forloeb(WireModel):
    """One education that was begun with SU; `annulleret` when the registration was withdrawn."""

    uddannelsestype: str
    uddannelse: Name
    startdato: IsoDate
    annulleret: bool


class SuData(WireModel):
    """The whole answer about one citizen."""

    civil_registration_identifier: str = Field(alias="civilRegistrationIdentifier")
    forloeb: Many[Forloeb]
