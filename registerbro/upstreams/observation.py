"""Observation of HTTP calls: each call's address, TLS connection, head and answer, as they were on the wire.

Only a block that asks for it sees them (`observed`); every other call keeps nothing. The pipeline gives its callers
what an answer means, and `registerbro conformance` must show what was sent and received.
"""

import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime

from registerbro.upstreams.messages import Answer, Question


@dataclass(frozen=True, slots=True)
class Tls:
    """A TLS connection: its protocol, and the subject, issuer and end of the other side's certificate."""

    protocol: str
    subject: str
    issuer: str
    until: datetime | None


@dataclass(slots=True)
class Observed:
    """One call; what did not come is None. Its repr shows nothing of a citizen."""

    url: str
    question: Question
    began: float = field(default_factory=time.monotonic)
    status: int | None = None
    headers: Sequence[tuple[str, str]] = field(default=(), repr=False)
    tls: Tls | None = None
    answer: Answer | None = None
    seconds: float = 0.0

    def receive_head(self, status: int, headers: Sequence[tuple[str, str]]) -> None:
        """Notes the status and the headers."""
        self.status, self.headers = status, headers
        self._note_time()

    def receive(self, answer: Answer) -> None:
        """Notes the whole answer."""
        self.answer = answer
        self._note_time()

    def note_tls(self, secured: ssl.SSLObject | None) -> None:
        """Notes the TLS connection of the request, while it is open; None without TLS."""
        self.tls = _tls(secured) if secured else None

    def header(self, name: str) -> str:
        """A header of the answer; "" without one."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    def _note_time(self) -> None:
        self.seconds = time.monotonic() - self.began


_calls: ContextVar[list[Observed] | None] = ContextVar("observed", default=None)


@contextmanager
def observed() -> Iterator[list[Observed]]:
    """Observes every call of the block: the list grows with each."""
    calls: list[Observed] = []
    token = _calls.set(calls)
    try:
        yield calls
    finally:
        _calls.reset(token)


@contextmanager
def unobserved() -> Iterator[None]:
    """Observes no call of the block, whatever it is in."""
    token = _calls.set(None)
    try:
        yield
    finally:
        _calls.reset(token)


def begin(url: object, question: Question) -> Observed | None:
    """Notes that a call begins; None where nothing observes it."""
    calls = _calls.get()
    if calls is None:
        return None
    calls.append(Observed(str(url), question))
    return calls[-1]


def _tls(secured: ssl.SSLObject) -> Tls:
    certificate: Mapping[str, object] = secured.getpeercert() or {}
    ends = certificate.get("notAfter")
    until = datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), UTC) if isinstance(ends, str) else None
    subject, issuer = (_named(certificate.get(part)) for part in ("subject", "issuer"))
    return Tls(secured.version() or "", subject, issuer, until)


def _named(parts: object) -> str:
    """A name of a certificate, as `CN=…, O=…`."""
    if not isinstance(parts, tuple):
        return ""
    short = {
        "commonName": "CN",
        "organizationName": "O",
        "countryName": "C",
        "organizationIdentifier": "organizationId",
    }
    return ", ".join(f"{short.get(name, name)}={value}" for pairs in reversed(parts) for name, value in pairs)
