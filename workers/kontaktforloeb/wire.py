"""Kontaktforloeb, as it is spoken: meetings (GetIndkaldelser), and booking deadlines (GetBorgerstatus).

Published are the parts of a meeting and how often each is there, `SamtaleType` and its values, and the whole answer
with the deadlines; the names of a meeting's other parts are not, and are assumed here and nowhere else. What nothing
needs is not read.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Final, Self

from pydantic import Field, StringConstraints, model_validator

from domain.service_windows import DENMARK
from registerbro.upstreams.item_reading import Items, each
from registerbro.upstreams.wire_types import Code, DanishDay, Identifier, Moment, WireModel

# ASSUMED: the paths of Kontaktforloeb's two reads: `/v2/Indkaldelse`, as the published ones below it, and
# `/v1/Borgerstatus`. The headings of their pages in STAR's wiki would settle it.

MEETING_TYPES: Final[Mapping[int | str, str]] = {
    4: "Opfølgningssamtale",
    7: "Jobsamtale",
    8: "Henvisning",
    9: "Informationsmøde",
    10: "CV-samtale",
    11: "Formidlingssamtale",
    12: "Anden samtale",
    13: "Informationsmøde uden mødepligt",
    15: "Rådighedssamtale",
    17: "Fælles jobsamtale med dagpengemodtager",
}
"""`SamtaleType` → its published name. 19 and 20 exist, and have no published name."""

ACTIVE: Final = 1
BOOKED: Final = 2
PASSED: Final = 3
STATUSES: Final = frozenset({ACTIVE, BOOKED, PASSED})
"""ASSUMED: the values of FriststatusType are 1 active, 2 booked and 3 passed. STAR's code list
InterviewDeadlineStatusTypeIdentifier would settle it."""

LONGEST_MEETING: Final = 7 * 24 * 60
"""Minutes: a longer one is no meeting's."""

FormattedText = Annotated[str, StringConstraints(max_length=50_000)]


class Indkaldelse(WireModel):
    """A meeting that the citizen is called to, or was. `aftaletekst` is HTML, of one that was held (`afholdt`).

    ASSUMED: the list of a citizen's meetings, and the names of a meeting's parts other than `SamtaleType`; published is
    what there is. An answer of GetIndkaldelser from the test environment would settle it.
    """

    indkaldelse_id: Identifier = Field(alias="indkaldelseId")
    samtale_type: Code = Field(alias="SamtaleType")
    starttidspunkt: Moment
    sluttidspunkt: Moment | None = None
    varighed: Annotated[int, Field(ge=0, le=LONGEST_MEETING)] | None = None
    afholdt: bool | None = None
    aftaletekst: FormattedText | None = None

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        try:
            is_before = self._end() < self.starttidspunkt.astimezone(UTC) or self.last_day < self.first_day
        except OverflowError:
            raise ValueError("outside the calendar") from None
        if is_before:
            raise ValueError("sluttidspunkt is before starttidspunkt")
        return self

    @property
    def first_day(self) -> date:
        """The Danish day on which it begins."""
        return self.starttidspunkt.date()

    @property
    def last_day(self) -> date:
        """The Danish day on which it ends: that of its start, when neither end nor duration is known.

        One that ends at midnight ends on the day before.
        """
        before_the_end = (self._end() - timedelta(microseconds=1)).astimezone(DENMARK)
        return max(before_the_end.date(), self.first_day)

    def _end(self) -> datetime:
        """The moment at which it ends, in UTC, where minutes pass whatever the clocks are set to."""
        if self.sluttidspunkt is not None:
            return self.sluttidspunkt.astimezone(UTC)
        return self.starttidspunkt.astimezone(UTC) + timedelta(minutes=self.varighed or 0)


class Indkaldelser(WireModel):
    """The whole answer about a citizen's meetings."""

    indkaldelser: Annotated[Items[Indkaldelse], each(Indkaldelse, "indkaldelse")]


class Frist(WireModel):
    """A deadline for booking a meeting of a type; it has no id, and its status says whether it still holds."""

    friststatus_type: Code = Field(alias="FriststatusType")
    samtale_type: Code = Field(alias="SamtaleType")
    fristdato: DanishDay = Field(alias="Fristdato")


class Frister(WireModel):
    """The list of deadlines, each of which is read by itself."""

    frist: Annotated[Items[Frist], each(Frist, "Frist")] = Field(alias="Frist")


class Borgerstatus(WireModel):
    """The whole answer about a citizen's booking; without `Frister` there is no deadline.

    `KanSelvbooke` is read since it is always there: an object without it is another answer, and never "no deadlines".
    """

    kan_selvbooke: bool = Field(alias="KanSelvbooke")
    frister: Frister | None = Field(default=None, alias="Frister")
