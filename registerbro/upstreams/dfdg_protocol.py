"""Protocol of the registers behind DFDG: question and write, refusals by STAR's codes, and the person check (R7).

A register supplies data: a path and a model of its answer.
"""

import json
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from datetime import timedelta
from functools import cache
from typing import TypeVar

from pydantic import BaseModel

from domain.cpr import Cpr, InvalidCpr
from registerbro.upstreams import error_codes, xml_errors
from registerbro.upstreams.errors import (
    AlreadyReceived,
    BadRequest,
    CallFailed,
    InvalidResponse,
    NotAuthorised,
    NotThisCitizen,
    RequestIdUsed,
    TooLong,
    UpstreamUnavailable,
    WrongPerson,
)
from registerbro.upstreams.messages import Answer, Question, validated
from registerbro.upstreams.pipeline import Exchange, Upstream
from registerbro.upstreams.wire_types import WireModel

CPR_HEADER = "x-civilRegistrationIdentifier"

NO_DATA = frozenset({"1010", "4404", "4405", "60007", "3", "4367"})
"""STAR's codes for a person of whom there is nothing: unknown (1010, 4404), dead (4405, 60007), without the element
that was asked for (3), not enrolled (4367). No data, and no error."""

ERRORS: Mapping[str, type[CallFailed]] = {
    **dict.fromkeys(("1011", "1012", "1013", "1100", "1101", "4575", "8232", "8233"), NotAuthorised),
    **dict.fromkeys(("1001", "1014"), BadRequest),
    "4922": NotThisCitizen,
    "8111": UpstreamUnavailable,
}
"""STAR's other codes → error, the gravest first: of several codes the first one here decides."""

NOT_OF_THE_PATTERN = frozenset({"1001", "1014"})
"""With which codes a replacement number is refused for being one (R11): there can be no data of it, and no defect."""

FEW_CHARACTERS = 16
"""Characters of a date or number with its name."""

_IDENTIFIER = "civilRegistrationIdentifier".casefold()
_OLD_IDENTIFIER = "PersonCivilRegistrationIdentifier".casefold()
"""The person's number in the older services."""

T = TypeVar("T")
ModelT = TypeVar("ModelT", bound=BaseModel)


async def ask_about(upstream: Upstream, path: str, cpr: Cpr, model: type[ModelT]) -> ModelT | None:
    """Asks the register at `path` about one citizen; None when it has no data of the person.

    Raises UpstreamError: WrongPerson when anything in the answer is about another citizen (R7).
    """

    def question(_: str) -> Question:
        return Question("GET", path, headers={CPR_HEADER: cpr.digits, "Accept": "application/json"})

    return await upstream.ask(Exchange(question, lambda answer: read(answer, cpr, model)))


class _Receipt(WireModel):
    """The answer to a write, of which nothing is used: whatever names an error in it is one."""


async def write_about(
    upstream: Upstream,
    method: str,
    path: str,
    cpr: Cpr,
    values: Mapping[str, object] | None = None,
    *,
    refusals: AbstractSet[str] = frozenset(),
) -> str | None:
    """Writes something about one citizen at the register. Returns the code by which it refuses the person; else None.

    A refusal is one of `refusals`, or a code that there is nothing of the person.

    A write whose answer was lost keeps its request id. Where that is then known (412), the register has received it,
    and may have failed at it: the write is made once more, with a new id. What is refused under two ids that were never
    sent before is there already; what is received and fails under both has failed. Raises UpstreamError.
    """
    sent: set[str] = set()
    is_repeat, refused = False, 0

    def question(request_id: str) -> Question:
        nonlocal is_repeat
        is_repeat = request_id in sent
        sent.add(request_id)
        headers = {CPR_HEADER: cpr.digits, "Accept": "application/json"}
        if values is None:
            return Question(method, path, headers)
        return Question(method, path, {**headers, "Content-Type": "application/json"}, json.dumps(values).encode())

    def read_it(answer: Answer) -> str | None:
        nonlocal refused
        if isinstance(answer.refusal(), RequestIdUsed) and not is_repeat:
            refused += 1
            if refused > 1:
                return None
        return read_receipt(answer, cpr, refusals)

    exchange = Exchange(question, read_it, is_write=True)
    with suppress(AlreadyReceived):
        return await upstream.ask(exchange)
    try:
        return await upstream.ask(exchange)
    except AlreadyReceived as received:
        raise received.lost from None


def read_receipt(answer: Answer, cpr: Cpr, refusals: AbstractSet[str]) -> str | None:
    """Reads the answer to a write: None when it is done, or the code by which the person is refused.

    Raises the CallFailed that the answer means, as `read` does.
    """
    is_done = 200 <= answer.status < 300
    if is_done and not answer.body:
        return None
    refusal = None if is_done else answer.refusal()
    try:
        values = answer.json(*(("application/problem+json",) if refusal else ()))
        same_person(cpr, answer.body)
    except (InvalidResponse, TooLong) as broken:
        failure: CallFailed = refusal or broken
    else:
        codes, _ = _codes(values, _Receipt, refused=answer.status >= 400)
        if not codes and refusal is None:
            return None
        failure = refusal or InvalidResponse(f"an error in an answer with status {answer.status}")
        if codes:
            of_the_person = NO_DATA | refusals | (NOT_OF_THE_PATTERN if cpr.is_replacement else frozenset())
            failure = _gravest(codes - of_the_person, answer.retry_after) or failure
            if codes <= of_the_person:
                return min(codes)
    raise failure


def read(answer: Answer, cpr: Cpr, model: type[ModelT]) -> ModelT | None:
    """Reads the answer as `model`; None when it says that there are no data of the person, and nothing else.

    Raises the CallFailed that it means. A code decides over the status, and of several the gravest. An unknown
    code, or an error without one, stays a failure beside a code that means no data.
    """
    refusal = answer.refusal()
    if refusal and answer.content_type in xml_errors.TYPES:
        _expect_no_data_in_xml(answer, refusal, cpr)
        return None
    try:
        values = answer.json(*(("application/problem+json",) if refusal else ()))
        same_person(cpr, answer.body)
    except (InvalidResponse, TooLong) as broken:
        failure = refusal or broken
    else:
        codes, says_something = _codes(values, model, refused=answer.status >= 400)
        if not codes and refusal is None:
            return validated(model, values)
        failure = refusal or InvalidResponse("an error in an answer with status 200")
        if codes:
            no_data = _no_data(cpr)
            failure = _gravest(codes - no_data, answer.retry_after) or failure
            if codes <= no_data and not says_something:
                return None
    raise failure


def _expect_no_data_in_xml(answer: Answer, refusal: CallFailed, cpr: Cpr) -> None:
    """Returns when the codes of a refusal in XML say that there are no data. Raises the CallFailed that it means."""
    codes = set()
    for name, text in xml_errors.fields(answer):
        if name.casefold() in {_IDENTIFIER, _OLD_IDENTIFIER} and text and _person(text) not in {cpr, None}:
            raise WrongPerson("the answer holds another person's CPR number")
        if error_codes.plain(name) in error_codes.CODES and text:
            codes.add(text)
    no_data = _no_data(cpr)
    if not codes or codes - no_data:
        raise _gravest(codes - no_data, answer.retry_after) or refusal


def _no_data(cpr: Cpr) -> AbstractSet[str]:
    return NO_DATA | (NOT_OF_THE_PATTERN if cpr.is_replacement else frozenset())


def _gravest(codes: AbstractSet[str], retry_after: timedelta | None) -> CallFailed | None:
    """The failure that these codes mean; None when all are unknown."""
    for code, error in ERRORS.items():
        if code in codes:
            # Only a known code is named: another may hold anything, also a CPR number.
            return error(f"DFDG code {code}", retry_after=retry_after)
    return None


def _codes(values: object, model: type[BaseModel], *, refused: bool) -> tuple[AbstractSet[str], bool]:
    """The codes of the errors in a body, with "" for an error without one; and whether it holds data beside them.

    What the contract has for data holds no error: there, a code is anything (a contact group's may be 3). Of the rest,
    all of a refusal's body is one; of another body, what has the name of one, and a code at its top unless one of the
    contract's fields is there with it.
    """
    if not isinstance(values, dict):
        return error_codes.codes_in(values) if refused else frozenset(), False
    own = _own_fields(model)
    data = [value for name, value in values.items() if name.casefold() in own]
    rest = {name: value for name, value in values.items() if name.casefold() not in own}
    if refused:
        return error_codes.codes_in(rest), any(map(_says_something, data))
    has_own = any(value is not None for value in data)
    errors = {
        name: value for name, value in rest.items() if _is_error(error_codes.plain(name), value, beside_own=has_own)
    }
    return (error_codes.codes_in(errors) or {""}) if errors else frozenset(), any(map(_says_something, data))


@cache
def _own_fields(model: type[BaseModel]) -> AbstractSet[str]:
    """The names, in lower case, that a body has its data under; the person's number is none of them."""
    names: set[str] = set()
    for name, field in model.model_fields.items():
        aliases = {one.casefold() for one in (field.alias, field.validation_alias) if isinstance(one, str)}
        names |= aliases or {name.casefold()}
    return names - {_IDENTIFIER}


def _is_error(name: str, value: object, *, beside_own: bool) -> bool:
    """Whether a field at the top of an answer with status 200 is an error all the same."""
    if name in error_codes.ERRORS:
        return bool(value)
    if name in error_codes.ERROR_CODES:
        return value not in (None, 0, "", "0")
    return name in error_codes.CODES and value is not None and not beside_own


def _says_something(value: object) -> bool:
    if isinstance(value, dict):
        return any(_says_something(inner) for name, inner in value.items() if name.casefold() != _IDENTIFIER)
    if isinstance(value, list):
        return any(map(_says_something, value))
    return value is not None and value != ""


def same_person(cpr: Cpr, body: bytes) -> None:
    """Makes sure that every `civilRegistrationIdentifier` in a JSON body, at any depth, is this person's (R7).

    Raises WrongPerson when one is another's; InvalidResponse when one is no CPR number, or when an object names any
    field twice: a parser shows only the last, so that the other could hide a person or a register's data.
    """
    objects = _objects(body)
    people = {_person(value) for fields in objects for name, value in fields if name.casefold() == _IDENTIFIER}
    if people - {cpr, None}:
        raise WrongPerson("the answer holds another person's CPR number")
    if None in people:
        raise InvalidResponse("the answer holds a CPR number that is none")
    if any(len(dict(fields)) < len(fields) for fields in objects):
        raise InvalidResponse("the answer names a field twice")


def _objects(body: bytes) -> list[list[tuple[str, object]]]:
    """The fields of every object in a JSON body, each as it stands there. Raises InvalidResponse."""
    objects: list[list[tuple[str, object]]] = []
    # No error of the parser is chained to ours, since it would hold the whole body.
    with suppress(ValueError, RecursionError):
        json.loads(body.decode(), object_pairs_hook=objects.append)
        return objects
    raise InvalidResponse("the answer is not JSON")


def _person(value: object) -> Cpr | None:
    if isinstance(value, str):
        with suppress(InvalidCpr):
            return Cpr.parse(value)
    return None


def extent(value: object) -> int:
    """Rough length of an answer in characters of JSON: its texts, and FEW_CHARACTERS for every other value."""
    if isinstance(value, str):
        return len(value) + FEW_CHARACTERS
    if isinstance(value, tuple):
        return sum(map(extent, value))
    if isinstance(value, BaseModel):
        return sum(map(extent, value.__dict__.values()))
    return FEW_CHARACTERS
