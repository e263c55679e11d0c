"""Faults that can be set at a running upstream: small models that a control call sends as JSON."""

import math
import random
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    TypeAdapter,
    model_validator,
)

NINETY_NINTH = 2.3263478740408408
"""How many standard deviations above its mean the 99th percentile of a normal distribution is."""


class _Fault(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    citizen: str | None = Field(default=None, pattern=r"^[0-9]{10}$", description="Only calls about this CPR number")
    share: float = Field(default=1.0, ge=0, le=1, description="The share of those calls that is hit")
    operation: str | None = Field(default=None, description="Only calls that do this; by default, those that ask")
    times: PositiveInt | None = Field(default=None, description="Mended by itself after so many calls")


class Latency(_Fault):
    """The answer comes later; another fault that is set applies after the wait."""

    kind: Literal["latency"]
    seconds: NonNegativeFloat | None = Field(default=None, description="A fixed wait")
    median: PositiveFloat | None = Field(default=None, description="The median of a log-normal wait, in seconds")
    p99: PositiveFloat | None = Field(
        default=None, description="Its 99th percentile; three times the median by default"
    )

    @model_validator(mode="after")
    def _is_fixed_or_drawn(self) -> Self:
        if (self.seconds is None) == (self.median is None):
            raise ValueError("a latency has either seconds or a median")
        if self.p99 is not None and (self.median is None or self.p99 < self.median):
            raise ValueError("p99 goes with a median, and is no less")
        return self

    def wait(self) -> float:
        """Seconds to wait this time."""
        if self.median is None:
            return self.seconds or 0.0
        sigma = math.log((self.p99 or 3 * self.median) / self.median) / NINETY_NINTH
        return random.lognormvariate(math.log(self.median), sigma)


class Broken(_Fault):
    """Faults that need nothing more than their name. `reset_after` does what was asked for, and then resets.

    `damaged` is one item among others that cannot be read: a report of eIndkomst whose period has no day, an event of
    Ungedatabasen without its kind, or an item of one of DFDG's services without a field that it must have.

    Of eIndkomst alone: `too_much` refuses more than twelve months at once; `strict_cpr` holds CPR numbers against the
    published pattern, which takes no replacement number; `missing_field` is a form without the income type in every
    report, and `undeclared` elements and attributes of no schema.
    """

    kind: Literal[
        "hang_before_headers",
        "hang_after_headers",
        "reset",
        "reset_after",
        "truncated",
        "wrong_content_type",
        "invalid_body",
        "invalid_encoding",
        "missing_field",
        "bomb",
        "wrong_person",
        "mixed_people",
        "unknown_value",
        "empty",
        "redirect",
        "too_much",
        "strict_cpr",
        "damaged",
        "undeclared",
    ]


class Gone(_Fault):
    """The port refuses every connection until it is mended, whichever citizen a call is about."""

    kind: Literal["gone"]

    @model_validator(mode="after")
    def _is_for_everybody(self) -> Self:
        if self.citizen is not None or self.operation is not None or self.times is not None or self.share < 1:
            raise ValueError("a port is gone for every call: no citizen, operation, share or times")
        return self


class Status(_Fault):
    """An HTTP status; with `body` as of the upstream's own content type, or its own answer when it has `answered`."""

    kind: Literal["status"]
    status: int = Field(ge=200, le=599)
    answered: bool = False
    retry_after: int | Annotated[str, Field(pattern=r"^[ -~]+$")] | None = Field(
        default=None, description="Seconds, or an HTTP date"
    )
    body: str | None = None


class NotFound(_Fault):
    """404; with `kode` in the upstream's own form of errors, otherwise as from a web server that has no such page."""

    kind: Literal["not_found"]
    kode: str | None = None


class Fejl(_Fault):
    """The register's own error: DFDG's `fejl`, or eIndkomst's FejlStruktur, which comes with HTTP 200 always."""

    kind: Literal["fejl"]
    kode: str
    status: int = 500
    with_data: bool = False


class Advis(_Fault):
    """An AdvisStruktur of eIndkomst, instead of the persons or beside them."""

    kind: Literal["advis"]
    kode: str = Field(pattern=r"^-?[0-9]+$")
    with_data: bool = False


class Partial(_Fault):
    """An answer of CVR with status 200 for which not everything was searched: it has half of the hits."""

    kind: Literal["partial"]
    how: Literal["failed_shards", "timed_out"] = "failed_shards"


class SoapFault(_Fault):
    """A SOAP Fault of eIndkomst."""

    kind: Literal["soap_fault"]
    code: Literal["Server", "Client"]


class Signature(_Fault):
    """An answer of eIndkomst, of a simulator that signs, whose signature is missing or does not hold."""

    kind: Literal["signature"]
    how: Literal[
        "unsigned",
        "altered",
        "wrapped",
        "wrapped_with_its_id",
        "wrapped_timestamp",
        "wrapped_token",
        "without_value",
        "other_digest",
        "stale",
        "foreign",
        "body_alone",
        "timestamp_alone",
        "token_too",
    ]


class Huge(_Fault):
    """The plain answer and so much white space after it, so that nothing but its length is wrong with it."""

    kind: Literal["huge"]
    compressed: bool = Field(default=False, description="As a few kilobytes of gzip that become as much")
    mebibytes: PositiveInt = Field(default=10, le=64, description="How much white space")
    over_months: PositiveInt | None = Field(
        default=None, description="Of eIndkomst: when more months than that are asked for; otherwise it is plain"
    )


Fault = Annotated[
    Latency | Broken | Gone | Status | NotFound | Fejl | Advis | Partial | SoapFault | Signature | Huge,
    Field(discriminator="kind"),
]

COMMON = frozenset({
    "latency", "hang_before_headers", "hang_after_headers", "reset", "reset_after", "truncated", "gone", "status",
    "not_found", "redirect", "wrong_content_type", "huge", "invalid_body", "invalid_encoding", "missing_field", "bomb",
})  # fmt: skip
"""The kinds that can happen to any upstream; the others need words that only some have."""

FAULTS: TypeAdapter[list[Fault]] = TypeAdapter(list[Fault])
"""Reads a list of faults from JSON values."""


class FaultSet:
    """The faults of one upstream, as they stand."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._used: dict[int, int] = {}

    def replace(self, faults: list[Fault]) -> None:
        """Sets these and no others."""
        self._faults = list(faults)
        self._used = {}

    def all(self) -> list[Fault]:
        """Those that are set."""
        return list(self._faults)

    @property
    def gone(self) -> bool:
        """Whether connections are to be refused."""
        return any(isinstance(fault, Gone) for fault in self._faults)

    def draw(self, citizen: str | None, operation: str | None = None) -> tuple[float, Fault | None]:
        """For one call: how many seconds to wait first, and which other fault hits it, if any does."""
        wait = 0.0
        for index, fault in enumerate(self._faults):
            if fault.operation != operation or fault.citizen not in {None, citizen} or random.random() >= fault.share:
                continue
            if fault.times is not None and self._used.get(index, 0) >= fault.times:
                continue
            self._used[index] = self._used.get(index, 0) + 1
            if isinstance(fault, Latency):
                wait += fault.wait()
            else:
                return wait, fault
        return wait, None
