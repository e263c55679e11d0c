"""Expectations of JobSearch: titles, published as they are written, and their history."""

from typing import Final

from registerbro.conformance.assumptions import fields
from registerbro.conformance.expectations import Form, Mark, Operation
from registerbro.conformance.json_shape import expected
from workers.dfdg_gateway.expectations import about_a_citizen
from workers.jobsearch import wire
from workers.jobsearch.client import fetch_current, fetch_former

_TITLE: Final = "joboensker[]"
_CREATED, _ENDED = f"{_TITLE}.oprettelsestidspunkt", f"{_TITLE}.ophoerstidspunkt"
_AS_WRITTEN: Final = {
    f"{_TITLE}.aliasIdentifier": Form.UUID,
    f"{_TITLE}.harUddannelse": Form.BOOLEAN,
    f"{_TITLE}.aarSidstBrugt": Form.INTEGER,
}

OPERATIONS: Final[tuple[Operation, ...]] = (
    about_a_citizen(
        "joboenske",
        fetch_current,
        expected(
            wire.Joboensker,
            Mark.ASSUMED,
            marks={f"{_TITLE}.conceptUriDa": Mark.PUBLISHED, **dict.fromkeys(_AS_WRITTEN, Mark.PUBLISHED)},
            forms={_CREATED: Form.DATE_TIME},
            unread=_AS_WRITTEN,
        ),
        fields(
            "a title is read as it is written, and the moment of its creation is `oprettelsestidspunkt`",
            _TITLE,
        ),
    ),
    about_a_citizen(
        "historik",
        fetch_former,
        expected(
            wire.JoboenskeHistorik,
            Mark.ASSUMED,
            forms={_CREATED: Form.DATE_TIME, _ENDED: Form.DATE_TIME},
            unread=_AS_WRITTEN,
        ),
        fields(
            "the history has titles as the other read has them, and the moment of an end is `ophoerstidspunkt`",
            _TITLE,
        ),
        path=lambda settings: settings.jobsearch.history_path,
    ),
)
