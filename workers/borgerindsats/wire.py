"""Borgerindsats, as it is spoken: a citizen's activities, and the entries of their joblog with their tasks.

Published are an activity's envelopes and days, and one entry of the joblog whole. What nothing needs is not read.
"""

from typing import Annotated, Any, Final, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from registerbro.upstreams.item_reading import Items, each
from registerbro.upstreams.wire_types import DanishDay, Identifier, Name, WireModel

# ASSUMED: the paths of Borgerindsats' two reads, `/v1/Aktivitet` and `/v1/Joblog`. The headings of their pages in
# STAR's wiki would settle it.

_PERSON: Final = "civilRegistrationIdentifier".casefold()


class Aktivitet(WireModel):
    """An activity, both days included; without `slutdato` its end is not known.

    ASSUMED: the id of an activity is `aktivitetIdentifier`, and its title `navn`. An answer with an activity from the
    test environment would settle it.
    """

    aktivitet_identifier: Identifier = Field(alias="aktivitetIdentifier")
    navn: Name | None = None
    startdato: DanishDay
    slutdato: DanishDay | None = None

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if self.slutdato is not None and self.slutdato < self.startdato:
            raise ValueError("slutdato is before startdato")
        return self


class AktivitetOpsummering(WireModel):
    """The list of activities, each of which is read by itself."""

    aktivitet: Annotated[Items[Aktivitet], each(Aktivitet, "aktivitet")]


class Aktiviteter(WireModel):
    """The envelope around the list."""

    opsummering: AktivitetOpsummering = Field(alias="AktivitetOpsummering")


class AktivitetSvar(WireModel):
    """The whole answer about a citizen's activities; without `aktiviteter` there is none.

    An object that has something else in its place is another answer, and never "no activities".
    """

    aktiviteter: Aktiviteter | None = None

    @model_validator(mode="before")
    @classmethod
    def _has_nothing_in_its_place(cls, values: Any) -> Any:  # noqa: ANN401 - anything may come
        is_without = isinstance(values, dict) and "aktiviteter" not in values
        if is_without and any(name.casefold() != _PERSON for name in values):
            raise PydanticCustomError("another_answer", "has something else than activities")
        return values


class Opgavedetaljer(WireModel):
    """What was done, and on which day; spelled as it is published."""

    beskrivelse: Name
    event_date: DanishDay = Field(alias="EventDate")


class Joblogopgave(WireModel):
    """A task of an entry: what stands in the calendar. It has no end."""

    joblogopgave_identifier: Identifier = Field(alias="joblogopgaveIdentifier")
    opgavedetaljer: Opgavedetaljer = Field(alias="opgavedetajler")


class JoblogOpgaver(WireModel):
    """The list of an entry's tasks, each of which is read by itself."""

    joblogopgave: Annotated[Items[Joblogopgave], each(Joblogopgave, "joblogopgave")]


class Jobsoegningslogning(WireModel):
    """An entry of the joblog."""

    joblog_opgaver: JoblogOpgaver = Field(alias="joblogOpgaver")


class JoblogSvar(WireModel):
    """The whole answer about a citizen's joblog.

    ASSUMED: `jobsoegningslogning` is a list of the entries of a citizen's joblog, of which one is published. An answer
    with two entries from the test environment would settle it.
    """

    jobsoegningslogning: Annotated[Items[Jobsoegningslogning], each(Jobsoegningslogning, "jobsoegningslogning")]
