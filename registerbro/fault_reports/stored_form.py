"""Stored form of fault reports: their keys on the ledger, and the values that are sealed.

What a release has stored is read by the next ones: values are added at the end, and only where they say something.
"""

import hashlib
import hmac
import json
import uuid

from domain.cpr import LOOKS_LIKE_CPR
from registerbro.fault_reports.model import DEAD_LETTERS, ENDED, Content, State, UnknownReport, WrongState
from registerbro.storage.keys import reports_key

DUE = reports_key("due")
"""Sorted set: the reports that are sent by themselves, by their next check."""
UNDECIDED = reports_key("undecided")
"""Sorted set: the reports of unknown outcome that wait for an operator, by since when."""
SENT_AGAIN = reports_key("sent_again")
"""Sorted set: the reports that were sent again after an unknown outcome, by when that was first."""
TEXTS = reports_key("texts")
"""Sorted set: the delivered reports whose text is still there."""
HALT = reports_key("halt")
"""String: until when nothing is sent."""
DISCARDS = reports_key("discards")
"""List: what operators discarded."""
CLOCK = reports_key("clock")
"""Hash: the steady clock of the outbox."""


def report_key(report_id: str) -> str:
    """Hash: a report."""
    return reports_key(f"report:{report_id}")


def attempts_key(report_id: str) -> str:
    """List: a report's attempts, each as `time outcome`."""
    return reports_key(f"attempts:{report_id}")


def ended_key(state: State) -> str:
    """Sorted set: the reports that ended in a state, by when."""
    return reports_key(f"{state}")


def rate_key(citizen_id: str) -> str:
    """Sorted set: the ids of the reports that a citizen handed in within the last hour, by the clock at `CLOCK`."""
    return reports_key(f"rate:{citizen_id}")


def idempotency_key_of(citizen_id: str, idempotency_key: str) -> str:
    """Hash: the report of an idempotency key. Each citizen has keys of their own, with any characters."""
    digest = hashlib.sha256(f"{citizen_id} {idempotency_key}".encode("utf-8", "surrogatepass"))
    return reports_key(f"key:{digest.hexdigest()}")


def keys_of(report_id: str) -> dict[str, str]:
    """Keys of one report."""
    return {"report": report_key(report_id), "attempts": attempts_key(report_id)}


OPERATORS_KEYS = {**{state.value: ended_key(state) for state in DEAD_LETTERS}, "undecided": UNDECIDED}
"""Keys of the reports that wait for an operator."""
NOT_DUE_KEYS = {**{state.value: ended_key(state) for state in ENDED}, "undecided": UNDECIDED}
"""Keys of the reports that are not sent by themselves."""
LISTED_KEYS = {**NOT_DUE_KEYS, "sent_again": SENT_AGAIN}
"""Keys of all lists of reports but those of what is due and of texts."""


def to_values(content: Content) -> bytes:
    """The content as it is sealed; one without an offer or a meeting is what former releases read, too."""
    values = [content.text, content.page, content.error_code]
    if content.meeting_offer or content.meeting:
        values += [content.meeting_offer, content.meeting]
    return json.dumps(values, ensure_ascii=False).encode()


def from_values(values: bytes) -> Content:
    """The content that was sealed, by this release or a former one."""
    return Content(*json.loads(values))


def expect(found: bytes, wanted: bytes, report_id: str) -> None:
    """Raises UnknownReport or WrongState unless a script found what the command is for."""
    if not found:
        raise UnknownReport(report_id)
    if found != wanted:
        raise WrongState(State(found.decode()))


def fingerprint_of(pepper: bytes, text: str) -> str:
    """Keyed digest that tells texts apart, and reveals nothing without the pepper."""
    return hmac.digest(pepper, text.encode(), hashlib.sha256).hex()


def new_id() -> str:
    """A random UUID without anything like a CPR number, so that no log redacts it."""
    while LOOKS_LIKE_CPR.search(report_id := str(uuid.uuid4())):
        pass
    return report_id
