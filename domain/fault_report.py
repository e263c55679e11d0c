"""The text of a fault report: how it is stored, how its characters are counted, and when it is refused (R9).

    FaultReportError
    ├── FaultReportEmpty
    ├── FaultReportTooLong
    ├── FaultReportControlCharacter
    └── FaultReportUnpairedSurrogate

The browser must come to the same verdicts: tests/domain/fault_report_cases.json holds the cases for both.
"""

import re
from typing import ClassVar

LIMIT = 500
"""The longest text that the vendor takes, in UTF-16 code units (R9)."""

_TRIMMED = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
"""WhiteSpace and LineTerminator of ECMA-262, which String.prototype.trim removes; str.strip() removes others."""

_CONTROL_CHARACTER = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Unicode's category Cc, which is fixed for good, but for tab and LF."""

_SURROGATE = re.compile(r"[\ud800-\udfff]")


class FaultReportError(ValueError):
    """A text is refused as a fault report. The message holds nothing of it."""

    reason: ClassVar[str]
    """A short constant for metrics and for whoever maps it to a text."""


class FaultReportEmpty(FaultReportError):
    """Nothing is left of the text without its leading and trailing white space."""

    reason = "empty"

    def __str__(self) -> str:
        return "the text is empty"


class FaultReportTooLong(FaultReportError):
    """The text exceeds the limit. `length`, `limit` and `excess` are UTF-16 code units."""

    reason = "too_long"

    def __init__(self, length: int, limit: int = LIMIT) -> None:
        super().__init__(length, limit)
        self.length = length
        self.limit = limit
        self.excess = length - limit

    def __str__(self) -> str:
        return f"the text is {self.length} characters long, which is {self.excess} more than the limit of {self.limit}"


class _CharacterRefused(FaultReportError):
    """`position` counts UTF-16 code units of the cleaned text, from 0."""

    kind: ClassVar[str]

    def __init__(self, code_point: int, position: int) -> None:
        super().__init__(code_point, position)
        self.code_point = code_point
        self.position = position

    def __str__(self) -> str:
        return f"the text has the {self.kind} U+{self.code_point:04X} at position {self.position}"


class FaultReportControlCharacter(_CharacterRefused):
    """The text has a control character (Unicode's category Cc) that is neither a line break nor a tab."""

    reason = "control_character"
    kind = "control character"


class FaultReportUnpairedSurrogate(_CharacterRefused):
    """The text has half of a surrogate pair, which no encoding can carry; a str has pairs as one character."""

    reason = "unpaired_surrogate"
    kind = "unpaired surrogate"


def clean(text: str) -> str:
    """The text as it is stored: line breaks as LF, no white space around it, nothing else changed (R9)."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip(_TRIMMED)


def length(text: str) -> int:
    """The number of UTF-16 code units, which is what JavaScript's `length` and the vendor's database count (R9)."""
    return len(text) + sum(character > "\uffff" for character in text)


def validate(text: str) -> str:
    """The cleaned text, whole; one that may not be sent raises a `FaultReportError` (R9).

    A text with several faults is refused for the first of: empty, too long, control character, unpaired surrogate.
    """
    cleaned = clean(text)
    if not cleaned:
        raise FaultReportEmpty
    if (units := length(cleaned)) > LIMIT:
        raise FaultReportTooLong(units)
    if found := _CONTROL_CHARACTER.search(cleaned):
        raise FaultReportControlCharacter(ord(found[0]), length(cleaned[: found.start()]))
    if found := _SURROGATE.search(cleaned):
        raise FaultReportUnpairedSurrogate(ord(found[0]), length(cleaned[: found.start()]))
    return cleaned
