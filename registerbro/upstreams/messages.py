"""Messages: a question to an upstream and its answer, as every client makes and reads them.

Their reprs show nothing of a citizen, and errors name fields and never values.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

import pydantic_core
from pydantic import BaseModel, ValidationError

from domain.cpr import LOOKS_LIKE_CPR
from registerbro.upstreams.errors import CallFailed, InvalidResponse, TooLong, from_status
from registerbro.upstreams.wire_types import GUID_PATTERN

MOST_JSON_VALUES = 100_000
"""Fields and items that JSON may hold: more than 2 MiB of any register's answers have that are filled with text. Each
becomes an object, and the parsers keep the interpreter for as long as there are any."""
MOST_JSON_CONTAINERS = 50_000
"""Lists and objects among them: more than 2 MiB of any register's items hold, and more than the hits that CVR is asked
for. So what has more is no long history, and not of the contract."""


_GUID = re.compile(rf"(?<![0-9A-Za-z-]){GUID_PATTERN}(?![0-9A-Za-z-])")

ModelT = TypeVar("ModelT", bound=BaseModel)


class HiddenHeaders(dict[str, str]):
    """Headers of a call, with tokens and other secrets among them: the repr has their names alone."""

    def __repr__(self) -> str:
        return f"<headers {', '.join(self)}>"


@dataclass(frozen=True, slots=True)
class Question:
    """One HTTP request, without the headers that all calls share. Its repr shows nothing of a citizen.

    `path` is below the upstream's base URL, whichever of them has the slash; when empty, the base URL is asked exactly
    as it was set (RFC 9110, 4.2.3 makes a slash of a host alone).
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        # In a GUID, such digits are chance; an id of a register's may be one.
        if LOOKS_LIKE_CPR.search(_GUID.sub("", self.path)):
            raise ValueError("a CPR number must not be in a URL")


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer: the body is decompressed, and no longer than the upstream's MAX_BODY."""

    status: int
    content_type: str
    charset: str
    body: bytes = field(repr=False)
    retry_after: timedelta | None = None

    def refusal(self) -> CallFailed | None:
        """The error of the status alone; None for 200."""
        return from_status(self.status, self.retry_after)

    def expect(self, *content_types: str) -> None:
        """Raises InvalidResponse when the body is of none of these types."""
        if self.content_type not in content_types:
            raise InvalidResponse(f"the answer is not {' or '.join(content_types)}")

    def json(self, *also: str) -> object:
        """The body as JSON values, of JSON's own type or one of `also`.

        Raises InvalidResponse for another type, encoding or syntax, and for more than MOST_JSON_CONTAINERS; TooLong for
        more than MOST_JSON_VALUES.
        """
        self.expect("application/json", *also)
        if self.charset.lower() not in {"utf-8", "us-ascii"}:
            raise InvalidResponse("the answer is not UTF-8")
        # Those within texts count too, since to know them apart is to parse.
        containers = self.body.count(b"[") + self.body.count(b"{")
        if containers > MOST_JSON_CONTAINERS:
            raise InvalidResponse(f"the answer holds more than {MOST_JSON_CONTAINERS} lists and objects")
        if containers + self.body.count(b",") + self.body.count(b":") > MOST_JSON_VALUES:
            raise TooLong(f"the answer holds more than {MOST_JSON_VALUES} values")
        try:
            values: object = pydantic_core.from_json(self.body, allow_inf_nan=False)
        except ValueError:
            raise InvalidResponse("the answer is not JSON") from None
        return values

    def model(self, model: type[ModelT]) -> ModelT:
        """The body as `model`. Raises InvalidResponse, naming the fields that are not of the contract."""
        return validated(model, self.json())


def validated(model: type[ModelT], values: object) -> ModelT:
    """Validates `values` as `model`. Raises InvalidResponse, which names the fields at fault and never their values.

    Raises TooLong when a list is longer than the contract's longest.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        named = ", ".join(f"{'.'.join(map(str, fault['loc'])) or 'body'} ({fault['type']})" for fault in faults[:3])
        more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
        too_long = any(fault["type"] == "too_long" for fault in faults)
    if too_long:
        raise TooLong(f"a list is too long: {named}{more}")
    raise InvalidResponse(f"not of the contract: {named}{more}")
