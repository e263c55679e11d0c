"""Expectations of VisiteringOgStatus: two operations that are published, and fields as they are where they are written.

A read's lists, and that it has the fields of the write, are assumed.
"""

from typing import Final

from domain.rules import DEFAULT_RULES
from registerbro.conformance.assumptions import fields
from registerbro.conformance.expectations import Assumption, Evidence, Form, Mark, Operation, Verdict
from registerbro.conformance.json_shape import expected
from workers.dfdg_gateway.expectations import about_a_citizen
from workers.visitering import wire
from workers.visitering.client import fetch_absences, fetch_status
from workers.visitering.normalise import ABSENCES

_GROUP, _ABSENCE = "kontaktgrupper[]", "fravaer[]"
_OTHER_LISTS: Final = ("helbredsbegraensninger[]", "aktivitetstillaeg[]")
_WRITTEN_OF_A_GROUP: Final = tuple(
    f"{_GROUP}.{name}"
    for name in (
        "KontaktgruppeType", "Starttidspunkt", "Sluttidspunkt", "kontaktgruppeIdentifier", "Haendelsestidspunkt",
    )
)  # fmt: skip
_WRITTEN_OF_AN_ABSENCE: Final = tuple(
    f"{_ABSENCE}.{name}"
    for name in (
        "fravaerIdentifier", "fravaerType", "startDato", "slutDato", "fravaersKommentar", "anmeldelsesDato",
        "fravaersAfslutningsAarsag",
    )
)  # fmt: skip


def _contact_groups(evidence: Evidence) -> tuple[Verdict, str]:
    """An answer shows which numbers are in use, and not what they mean."""
    numbers = {str(one.group) for row in DEFAULT_RULES.target_group.rows for one in row.value}
    lists = [part for part in (evidence.root.parts if evidence.root else ()) if part.name == "kontaktgrupper"]
    items = [item for one in lists for item in one.parts]
    in_use = {code.text for item in items for code in item.parts if code.name == "KontaktgruppeType"} & numbers
    told = f"{', '.join(sorted(in_use))} in use: compare with the citizen's own contact group" if in_use else ""
    return Verdict.NOT_SEEN, told


OPERATIONS: Final[tuple[Operation, ...]] = (
    about_a_citizen(
        "kontaktgrupper",
        fetch_status,
        expected(
            wire.Status,
            Mark.ASSUMED,
            marks=dict.fromkeys((*_WRITTEN_OF_A_GROUP, *_OTHER_LISTS), Mark.PUBLISHED),
            codes={f"{_GROUP}.KontaktgruppeType": wire.CONTACT_GROUPS},
            forms={f"{_GROUP}.{name}": Form.DATE_TIME for name in ("Starttidspunkt", "Sluttidspunkt")},
            unread={
                f"{_GROUP}.kontaktgruppeIdentifier": Form.UUID,
                f"{_GROUP}.Haendelsestidspunkt": Form.DATE_TIME,
                **dict.fromkeys((*_OTHER_LISTS, "personkategorier[]"), Form.ANY),
            },
        ),
        fields("the contact groups are in `kontaktgrupper`, each in the fields in which one is written", _GROUP),
        Assumption(
            "contact groups 1, 12 and 28 keep their numbers after STAR's release 2025-2, which has fewer contact "
            "groups",
            _contact_groups,
        ),
    ),
    about_a_citizen(
        "fravaer",
        fetch_absences,
        expected(
            wire.AlleFravaer,
            Mark.ASSUMED,
            marks=dict.fromkeys(_WRITTEN_OF_AN_ABSENCE, Mark.PUBLISHED),
            codes={f"{_ABSENCE}.fravaerType": ABSENCES},
            forms={
                f"{_ABSENCE}.fravaerIdentifier": Form.UUID,
                f"{_ABSENCE}.fravaerType": Form.INTEGER,
                f"{_ABSENCE}.startDato": Form.DATE_TIME,
                f"{_ABSENCE}.slutDato": Form.DATE_TIME,
            },
            unread={
                f"{_ABSENCE}.fravaersKommentar": Form.TEXT,
                f"{_ABSENCE}.anmeldelsesDato": Form.DATE_TIME,
                f"{_ABSENCE}.fravaersAfslutningsAarsag": Form.ANY,
            },
        ),
        fields("all absence is in `fravaer`, each in the fields in which one is written", _ABSENCE),
        path=lambda settings: settings.visitering.absences_path,
    ),
)
