"""UngedataService, as it is spoken: a citizen is subscribed, and the events about them are fetched later.

Published are the operations, the path and header of the subscription, its optional start, and the codes of a refusal.
An event's fields are not, beyond its kind and date; they are assumed here and nowhere else.
"""

from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from registerbro.upstreams.item_reading import Items, each
from registerbro.upstreams.wire_types import IsoDate, Name, WireModel

SUBSCRIPTION_PATH: Final = "/v1/UDBabonnement"

CANCEL_METHOD: Final = "DELETE"
"""ASSUMED: a subscription is cancelled with DELETE at the path where it was made; the path of the page on cancelling is
cut. The service's description (Swagger) of the test environment would settle it."""

# ASSUMED: the path of the citizen's events, `/v1/UDBhaendelser`, which the published page does not show. The service's
# description (Swagger) of the test environment would settle it.

REFUSALS: Final = {
    "8002": "no_active_plan",
    "8060": "no_contact_group",
    "8066": "no_education_plan",
    "8067": "not_under_30",
    "8068": "no_contact_group",
}
"""Code → why a citizen cannot be subscribed. The register can have no data of them, and that is no error.

ASSUMED: a citizen of whom one of these codes says that at a cancellation has no subscription. A cancellation for a
citizen without a plan in the test environment would settle it."""

OPTAGELSE: Final = "OPTAGELSE"
FARE_FOR_AFBRUD: Final = "FARE_FOR_AFBRUD"
AFBRUD: Final = "AFBRUD"
FULDFOERELSE: Final = "FULDFOERELSE"

EJ_MOEDT: Final = "ej mødt"
"""The reason of an interruption of what never began.

ASSUMED: it comes as this text, in any case, in a field `aarsag`; published is that there is such a reason. An answer
with a citizen who never came would settle it."""

UDDANNELSE: Final = "UDDANNELSE"
FGU: Final = "FGU"
STU: Final = "STU"

ERHVERVSKOMPETENCEGIVENDE: Final = "ERHVERVSKOMPETENCEGIVENDE"
KOMPETENCEGIVENDE: Final = "KOMPETENCEGIVENDE"
INGEN: Final = "INGEN"

KNOWN = {
    "haendelsestype": frozenset({OPTAGELSE, FARE_FOR_AFBRUD, AFBRUD, FULDFOERELSE}),
    "type": frozenset({UDDANNELSE, FGU, STU}),
    "kompetence": frozenset({ERHVERVSKOMPETENCEGIVENDE, KOMPETENCEGIVENDE, INGEN}),
}
"""Field → the values that the contract knows. The models take any text, so that a new value fails nothing else.

ASSUMED: the values of these fields; published is what they mean. The service's code lists would settle it."""


class Institution(WireModel):
    """Where it takes place; for FGU and STU that is what the page shows."""

    nummer: Name | None = None
    navn: Name


class Uddannelse(WireModel):
    """An education: an ordinary one, FGU or STU."""

    kode: Name | None = None
    navn: Name
    type: str
    kompetence: str | None = None

    @model_validator(mode="after")
    def _an_education_says_its_kompetence(self) -> Self:
        if self.type == UDDANNELSE and self.kompetence is None:
            raise ValueError("kompetence is missing")
        return self


class Haendelse(WireModel):
    """One event of a citizen at an institution. A missing `dato` is unknown (R5).

    ASSUMED: the names and the form of an event's fields; published are its kinds and that it has a date. An answer of
    the event operation from the test environment would settle it.
    """

    haendelses_identifier: Name | None = Field(default=None, alias="haendelsesIdentifier")
    haendelsestype: str
    dato: IsoDate | None = None
    uddannelse: Uddannelse
    institution: Institution
    speciale: Name | None = None
    skoleperiode: Name | None = None
    aarsag: str | None = None

    @property
    def type(self) -> str:
        """The type of the education."""
        return self.uddannelse.type

    @property
    def kompetence(self) -> str | None:
        """The competence that the education gives."""
        return self.uddannelse.kompetence


class Haendelser(WireModel):
    """The whole answer about one citizen.

    ASSUMED: the citizen's number stands at its top, and the events are in `haendelser`. An answer of the event
    operation from the test environment would settle it.
    """

    civil_registration_identifier: str = Field(alias="civilRegistrationIdentifier")
    haendelser: Annotated[Items[Haendelse], each(Haendelse, "event")]
