"""What a hostile answer is here: bytes that an upstream may send, which promise some of them break and what they mean.

A `Case` is one answer to one client. An answer of eIndkomst has four forms: with a signature or without one, to a
client that verifies signatures or to one that does not. Every other answer has one form.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

MOST_CPU_SECONDS: Final = 1.5
MOST_MIB: Final = 130
MOST_STOPPED_MS: Final = 100
"""What one answer may cost: processor time of the whole process, memory beyond what the process had at its start, and
processor time of the process during which the event loop did not come round."""

PLAIN: Final = "plain"
SIGNED: Final = "signed"
PLAIN_VERIFIED: Final = "plain, verified"
SIGNED_VERIFIED: Final = "signed, verified"
FORMS: Final = (PLAIN, SIGNED, PLAIN_VERIFIED, SIGNED_VERIFIED)

OK, INVALID, TOO_LONG = "ok", "invalid_response", "too_long"
"""The words of `tests.system.fuzz.paths.outcome`."""

Build = Callable[[], Iterable[bytes]]


@dataclass(frozen=True)
class Case:
    """`build` gives one form's answer, head and body, in the pieces in which it is written to the socket.

    `expected` is form → outcome. `quick` cases are run by the test suite, the others by `make hostile`.
    """

    kind: str
    name: str
    target: str
    build: Callable[[str], Iterable[bytes]]
    expected: Mapping[str, str]
    quick: bool = False
    forms: tuple[str, ...] = field(default=(PLAIN,))


def head(content_type: str, *fields: bytes, status: bytes = b"200 OK") -> bytes:
    """The head of an answer whose body ends where the server hangs up."""
    lines = (b"HTTP/1.1 " + status, b"Content-Type: " + content_type.encode(), *fields)
    return b"\r\n".join(lines) + b"\r\n\r\n"
