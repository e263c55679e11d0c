"""Expectations of Borgerindsats: activities, published but for their paths and names, and the joblog."""

from typing import Final

from registerbro.conformance.assumptions import address, fields
from registerbro.conformance.expectations import Assumption, Evidence, Form, Mark, Operation, Verdict
from registerbro.conformance.json_shape import expected
from workers.borgerindsats import wire
from workers.borgerindsats.client import fetch_activities, fetch_joblog
from workers.dfdg_gateway.expectations import about_a_citizen

_ACTIVITY: Final = "aktiviteter.AktivitetOpsummering.aktivitet[]"
_ID, _TITLE = f"{_ACTIVITY}.aktivitetIdentifier", f"{_ACTIVITY}.navn"
_ENTRY: Final = "jobsoegningslogning[]"
_TASK: Final = f"{_ENTRY}.joblogOpgaver.joblogopgave[]"
_DETAILS: Final = f"{_TASK}.opgavedetajler"
_OF_AN_ENTRY: Final = {
    f"{_ENTRY}.jobsoegningslogningIdentifier": Form.UUID,
    f"{_ENTRY}.oprettelsestidspunkt": Form.DATE_TIME,
    f"{_ENTRY}.aendringstidspunkt": Form.DATE_TIME,
    f"{_ENTRY}.joblogdokumenter": Form.ANY,
}
"""Parts of an entry that are not read; of the last one, what is in it is cut off where the others are published."""
_ADDRESSES: Final = "the paths of Borgerindsats' two reads, `/v1/Aktivitet` and `/v1/Joblog`"


def _several_entries(evidence: Evidence) -> tuple[Verdict, str]:
    """A single entry in a list shows the list; one in its place shows that there is none."""
    seen = evidence.fields[_ENTRY]
    if seen.is_wrong:
        return Verdict.FAILS, _ENTRY
    return (Verdict.HOLDS if seen.is_found else Verdict.NOT_SEEN), ""


OPERATIONS: Final[tuple[Operation, ...]] = (
    about_a_citizen(
        "aktiviteter",
        fetch_activities,
        expected(wire.AktivitetSvar, Mark.PUBLISHED, marks={_ID: Mark.ASSUMED, _TITLE: Mark.ASSUMED}),
        address(_ADDRESSES),
        fields("the id of an activity is `aktivitetIdentifier`, and its title `navn`", _ID, _TITLE),
    ),
    about_a_citizen(
        "joblog",
        fetch_joblog,
        expected(
            wire.JoblogSvar,
            Mark.PUBLISHED,
            marks={
                _ENTRY: Mark.ASSUMED,
                f"{_ENTRY}.joblogOpgaver": Mark.PUBLISHED,
                **dict.fromkeys(_OF_AN_ENTRY, Mark.PUBLISHED),
            },
            unread={
                **_OF_AN_ENTRY,
                f"{_DETAILS}.haendelsestidspunkt": Form.DATE_TIME,
                f"{_DETAILS}.erGennemfoert": Form.BOOLEAN,
                f"{_DETAILS}.erPrimaer": Form.BOOLEAN,
            },
        ),
        address(_ADDRESSES),
        Assumption(
            "`jobsoegningslogning` is a list of the entries of a citizen's joblog, of which one is published",
            _several_entries,
        ),
        path=lambda settings: settings.borgerindsats.joblog_path,
    ),
)
