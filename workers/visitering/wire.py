"""The answers of VisiteringOgStatus about one citizen: the contact groups that are open now, and all absence.

Both operations are published, with their paths and the fields in which a contact group and an absence are written. An
item that cannot be read is left out and named. A comment on an absence, the reason of its end and the day on which it
was told are not read: nothing needs them.
"""

from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from registerbro.upstreams.item_reading import Items, each
from registerbro.upstreams.wire_types import DanishDay, Identifier, WireModel

CONTACT_GROUPS: Final = frozenset({*range(1, 9), *range(10, 30)})
"""The published numbers of contact groups."""


class Kontaktgruppe(WireModel):
    """A contact group that the citizen is in, both days included. A missing `Sluttidspunkt` is not yet."""

    kontaktgruppe_type: Annotated[int, Field(ge=0, lt=10_000)] = Field(alias="KontaktgruppeType")
    starttidspunkt: DanishDay = Field(alias="Starttidspunkt")
    sluttidspunkt: DanishDay | None = Field(default=None, alias="Sluttidspunkt")

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if self.sluttidspunkt is not None and self.sluttidspunkt < self.starttidspunkt:
            raise ValueError("Sluttidspunkt is before Starttidspunkt")
        return self


class Status(WireModel):
    """The answer to GetPersonVisiteringOgStatusStatus; its other lists are not read.

    ASSUMED: the contact groups are in `kontaktgrupper`, each in the fields in which one is written. An answer from
    STAR's test environment would settle it.
    """

    kontaktgrupper: Annotated[Items[Kontaktgruppe], each(Kontaktgruppe, "kontaktgruppe")]


class Fravaer(WireModel):
    """An absence, both days included. A missing `slutDato` is not known yet. Any type is taken: none is ever hidden."""

    fravaer_identifier: Identifier = Field(alias="fravaerIdentifier")
    fravaer_type: object = Field(default=None, alias="fravaerType")
    start_dato: DanishDay = Field(alias="startDato")
    slut_dato: DanishDay | None = Field(default=None, alias="slutDato")

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if self.slut_dato is not None and self.slut_dato < self.start_dato:
            raise ValueError("slutDato is before startDato")
        return self


class AlleFravaer(WireModel):
    """The answer to GetAlleFravaer.

    ASSUMED: all absence is in `fravaer`, each in the fields in which one is written. An answer from STAR's test
    environment would settle it.
    """

    fravaer: Annotated[Items[Fravaer], each(Fravaer, "fravaer")]
