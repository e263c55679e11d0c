"""JobSearch, as it is spoken: a citizen's job titles (`/v2/Joboenske`) and their history (`…/historik`).

Published are the paths, and an item's fields as it is written: a title is an ESCO concept, and its text is not there.
What nothing needs is not read.
"""

from datetime import date, datetime
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from registerbro.upstreams.item_reading import Items, each
from registerbro.upstreams.wire_types import IsoDate, Moment, WireModel

Uri = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
Time = Moment | IsoDate
"""A moment, or a day where nothing more is told."""


def day(time: datetime | date | None) -> date | None:
    """The Danish day of a time."""
    return time.date() if isinstance(time, datetime) else time


class Joboenske(WireModel):
    """A title of »Jeg søger job som«. Its creation was lost for some when they moved to this service (§2.1).

    ASSUMED: a title is read as it is written, and the moment of its creation is `oprettelsestidspunkt`. An answer from
    the test environment would settle it.
    """

    concept_uri_da: Uri = Field(alias="conceptUriDa")
    oprettelsestidspunkt: Time | None = None


class TidligereJoboenske(Joboenske):
    """A title of the history; without `ophoerstidspunkt` it is not known when it ended, or whether it did.

    ASSUMED: the history has titles as the other read has them, and the moment of an end is `ophoerstidspunkt`. An
    answer with a former title from the test environment would settle it.
    """

    ophoerstidspunkt: Time | None = None

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        first, last = day(self.oprettelsestidspunkt), day(self.ophoerstidspunkt)
        if first is not None and last is not None and last < first:
            raise ValueError("ophoerstidspunkt is before oprettelsestidspunkt")
        return self


class Joboensker(WireModel):
    """The whole answer about the titles that a citizen looks for."""

    joboensker: Annotated[Items[Joboenske], each(Joboenske, "joboenske")]


class JoboenskeHistorik(WireModel):
    """The whole answer about the history, in which a current title may stand too."""

    joboensker: Annotated[Items[TidligereJoboenske], each(TidligereJoboenske, "historik")]
