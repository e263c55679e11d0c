"""Payload models of the vendor's fault reports: CreateFejlmelding of STAR's published BorgerBookingService.

The fields, and that 500 characters are the longest text, are published; what is assumed is marked.
`registerbro/meetings/wire.py` has the vendor's meetings.
"""

from collections.abc import Iterable
from datetime import datetime
from enum import Enum
from typing import Annotated

from pydantic import StringConstraints

from config.settings import FaultCode
from domain.service_windows import DENMARK
from registerbro.fault_reports.model import Content
from registerbro.upstreams.wire_types import WireModel

# ASSUMED: the path of CreateFejlmelding is `/v1/BorgerBooking/Fejlmelding`, since it is cut off where the others of the
# service are published. The vendor's own description of the service settles it; PATH is a setting.

# ASSUMED: the vendor lets us in by a bearer token, which no published page mentions. The agreement settles it; TOKEN or
# TOKEN_URL is a setting.

JOBNET = 32
"""FejlOphav: the report comes from Jobnet. Only this and 30 (DFDG) are allowed."""

CPR_HEADER = "CivilRegistrationIdentifier"
"""ASSUMED: a fault report is taken without its author's CPR number, and the header is that of the service's other
operations, where it is optional. One report in the vendor's test environment settles it: SEND_CPR sends the number.
"""


class Taken(Enum):
    """Whether the vendor has taken a report, as far as the status of its answer says."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


NOT_TAKEN = frozenset({301, 307, 308, *range(400, 500), 500, 501, 503, 505})
"""Statuses by which a server says that it has not done what was asked for (RFC 9110, 15).

ASSUMED: an answer of 500 means that the report was not taken, as RFC 9110 has it. The vendor's word on whether it can
fail after it has stored a report settles it; if it can, 500 belongs to the statuses of unknown outcome.

502 and 504 are a gateway's: it passed the report on and had no usable answer. 302 and 303 may be a receipt elsewhere.
"""


PAGE = "text/html"
"""What no answer of this service is, but a log-in or maintenance page that a gateway puts in its place, with 200."""


def taken(status: int) -> Taken:
    """What a status says of the report. Any 2xx says that it was taken, with a body or without."""
    if 200 <= status < 300:
        return Taken.YES
    return Taken.NO if status in NOT_TAKEN else Taken.UNKNOWN


class Fejlmelding(WireModel):
    """A fault report. `FejlTidspunkt` is the same in every attempt, so that the vendor can tell a repeat."""

    MoedetilbudId: str | None = None
    IndkaldelseId: str | None = None
    Fejlkode: int
    Fejltekst: str
    FejlOphav: int
    FejlTidspunkt: str


class Kvittering(WireModel):
    """ASSUMED: a case number, if the vendor gives one, is `sagsnummer` of a JSON object. The published answer is empty;
    the vendor's own description settles it.
    """

    sagsnummer: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]


def fejlkode(codes: Iterable[FaultCode], page: str | None, error: str | None) -> int:
    """The code of a report: that of the first rule that names its page and its error, or leaves them open.

    ASSUMED: 1 is a code of BorgerBookingFejlTypeCodeList and fits every report, unless FAULT_CODES says more. The code
    list settles it, which is not public.
    """
    return next(one.code for one in codes if one.page in {None, page} and one.error in {None, error})


def fejlmelding(accepted_at: datetime, content: Content, codes: Iterable[FaultCode]) -> bytes:
    """The body of a report; `accepted_at` is when the citizen handed it in, and is sent in Danish time."""
    return (
        Fejlmelding(
            MoedetilbudId=content.meeting_offer,
            IndkaldelseId=content.meeting,
            Fejlkode=fejlkode(codes, content.page, content.error_code),
            Fejltekst=content.text,
            FejlOphav=JOBNET,
            FejlTidspunkt=accepted_at.astimezone(DENMARK).isoformat(timespec="milliseconds"),
        )
        .model_dump_json(exclude_none=True)
        .encode()
    )
