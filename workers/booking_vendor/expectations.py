"""Expectations of the booking vendor: a fault report is sent only when that is wished."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from registerbro.conformance.assumptions import address
from registerbro.conformance.expectations import Asked, Assumption, Evidence, Expected, Mark, Operation, Verdict
from registerbro.conformance.json_shape import expected, shape
from registerbro.fault_reports.model import Content, Sending
from registerbro.telemetry import random_ids
from workers.booking_vendor import wire
from workers.booking_vendor.client import Delivery

_TEXT: Final = "Prøve af forbindelsen fra registerbro. Der er ingen fejl, og intet skal gøres."


async def _report(asked: Asked) -> object:
    """Sends a fault report that says that there is no fault. Returns its case number, or that there is none."""
    settings = asked.settings.booking_vendor
    sending = Sending(random_ids.name(16), "conformance", datetime.now(UTC), b"", asked.citizen_id)
    author = asked.cpr if settings.send_cpr else None
    case = await Delivery(sending, Content(_TEXT), settings, author).send(asked.upstream)
    return case or "taken"


def _receipt() -> Expected:
    """The published answer is empty; a case number may be in it."""
    whole = expected(wire.Kvittering, Mark.ASSUMED)
    return replace(whole, fields=tuple(replace(one, is_required=False) for one in whole.fields))


def _is_taken(evidence: Evidence) -> bool:
    return evidence.status is not None and wire.taken(evidence.status) is wire.Taken.YES


def _token(evidence: Evidence) -> tuple[Verdict, str]:
    if evidence.status in {401, 403}:
        return Verdict.FAILS, str(evidence.status)
    return (Verdict.HOLDS if _is_taken(evidence) else Verdict.NOT_SEEN), ""


def _without_number(evidence: Evidence) -> tuple[Verdict, str]:
    is_sent = evidence.question is not None and wire.CPR_HEADER in evidence.question.headers
    if is_sent or not _is_taken(evidence):
        return Verdict.NOT_SEEN, "SEND_CPR is set" if is_sent else ""
    return Verdict.HOLDS, ""


def _taken_with_500(evidence: Evidence) -> tuple[Verdict, str]:
    return Verdict.NOT_SEEN, "500: ask the vendor whether the report is there" if evidence.status == 500 else ""


def _case_number(evidence: Evidence) -> tuple[Verdict, str]:
    """An empty answer, which is the published one, says nothing of it."""
    if not _is_taken(evidence) or evidence.root is None:
        return Verdict.NOT_SEEN, ""
    return (Verdict.HOLDS, "") if evidence.fields["sagsnummer"].is_found else (Verdict.FAILS, "sagsnummer is not there")


def _code(evidence: Evidence) -> tuple[Verdict, str]:
    if _is_taken(evidence):
        return Verdict.HOLDS, ""
    told = f"{evidence.status}: is the code one of the vendor's?" if evidence.status in {400, 422} else ""
    return Verdict.NOT_SEEN, told


OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        "fejlmelding",
        _report,
        _receipt(),
        shape,
        (
            address(
                "the path of CreateFejlmelding is `/v1/BorgerBooking/Fejlmelding`, since it is cut off where the "
                "others of the service are published"
            ),
            Assumption("the vendor lets us in by a bearer token, which no published page mentions", _token),
            Assumption(
                "a fault report is taken without its author's CPR number, and the header is that of the service's "
                "other operations, where it is optional",
                _without_number,
            ),
            Assumption(
                "an answer of 500 means that the report was not taken, as RFC 9110 has it",
                _taken_with_500,
            ),
            Assumption("a case number, if the vendor gives one, is `sagsnummer` of a JSON object", _case_number),
            Assumption(
                "1 is a code of BorgerBookingFejlTypeCodeList and fits every report, unless FAULT_CODES says more",
                _code,
            ),
        ),
        writes=True,
        is_about_a_citizen=False,
    ),
)
