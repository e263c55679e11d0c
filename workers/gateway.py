"""What the registers behind DFDG have in common: how they are asked, how they refuse, and how their answers are read.

A register supplies data: a path and a model of its answer.
"""

import json
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from datetime import date, timedelta
from functools import cache
from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Strict, StringConstraints

from workers.domain.cpr import Cpr, InvalidCpr
from workers.resilience.client import Answer, Question, validated
from workers.resilience.errors import (
    BadRequest,
    CallFailed,
    InvalidResponse,
    NotAuthorised,
    NotThisCitizen,
    TooLong,
    WrongPerson,
)
from workers.resilience.upstream import Exchange, Upstream

CPR_HEADER = "x-civilRegistrationIdentifier"

NO_DATA = frozenset({"1010", "4404", "4405", "60007", "3", "4367"})
"""STAR's codes for a person of whom there is nothing: unknown (1010, 4404), dead (4405, 60007), without the element
that was asked for (3), not enrolled (4367). No data, and no error."""

ERRORS: Mapping[str, type[CallFailed]] = {
    **dict.fromkeys(("1011", "1012", "1013", "1100", "1101", "4575", "8232", "8233"), NotAuthorised),
    **dict.fromkeys(("1001", "1014"), BadRequest),
    "4922": NotThisCitizen,
}
"""What STAR's other codes mean, the gravest first: of several codes the first one here decides."""

NOT_OF_THE_PATTERN = frozenset({"1001", "1014"})
"""With which codes a replacement number is refused for being one (R11): there can be no data of it, and no defect."""

_ERROR_CODES = frozenset({"errorcode", "fejlkode"})
_CODES = _ERROR_CODES | {"kode", "code"}
_ERRORS = frozenset({"fejl", "error", "errors", "fault", "faultdetails"})
"""ASSUMED: the names of a code, and of what is an error and nothing else, in any spelling; the codes are published and
the JSON around them is not. An error's body from STAR's test environment would settle it."""

FEW_CHARACTERS = 16
"""What a date or a number takes, and its name."""

_IDENTIFIER = "civilRegistrationIdentifier".casefold()

T = TypeVar("T")
ModelT = TypeVar("ModelT", bound=BaseModel)


async def ask_about(upstream: Upstream, path: str, cpr: Cpr, model: type[ModelT]) -> ModelT | None:
    """What the register at `path` knows of one citizen; None when it does not know the person, which is no data.

    Raises UpstreamError: WrongPerson when anything in the answer is about another citizen (R7).
    """

    def question(_: str) -> Question:
        return Question("GET", path, headers={CPR_HEADER: cpr.digits, "Accept": "application/json"})

    return await upstream.ask(Exchange(question, lambda answer: read(answer, cpr, model)))


def read(answer: Answer, cpr: Cpr, model: type[ModelT]) -> ModelT | None:
    """The answer as `model`; None when all that it says is that there are no data of the person.

    Raises the CallFailed that it means. A code decides over the status, and of several the gravest; one that we do not
    know, or an error without a code, is no less a failure for standing beside one that means no data.
    """
    refusal = answer.refusal()
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
            no_data = NO_DATA | (NOT_OF_THE_PATTERN if cpr.is_replacement else frozenset())
            failure = _gravest(codes - no_data, answer.retry_after) or failure
            if codes <= no_data and not says_something:
                return None
    raise failure


def _gravest(codes: AbstractSet[str], retry_after: timedelta | None) -> CallFailed | None:
    """The failure that these codes mean; None when we know none of them."""
    for code, error in ERRORS.items():
        if code in codes:
            # Only a code of ours is told: another may be anything, also a CPR number.
            return error(f"DFDG code {code}", retry_after=retry_after)
    return None


def _codes(values: object, model: type[BaseModel], *, refused: bool) -> tuple[AbstractSet[str], bool]:
    """The codes of the errors in a body, with "" for an error without one; and whether it holds data beside them.

    What the contract has for data holds no error: there, a code is anything (a contact group's may be 3). Of the rest,
    all of a refusal's body is one; of another body, what has the name of one, and a code at its top unless one of the
    contract's fields is there with it.
    """
    if not isinstance(values, dict):
        return set(_codes_in(values)) if refused else set(), False
    own = _own_fields(model)
    data = [value for name, value in values.items() if name.casefold() in own]
    rest = {name: value for name, value in values.items() if name.casefold() not in own}
    if refused:
        return set(_codes_in(rest)), any(map(_says_something, data))
    has_own = any(value is not None for value in data)
    errors = {name: value for name, value in rest.items() if _is_error(name.casefold(), value, beside_own=has_own)}
    return (set(_codes_in(errors)) or {""}) if errors else set(), any(map(_says_something, data))


@cache
def _own_fields(model: type[BaseModel]) -> AbstractSet[str]:
    """The names, in lower case, that a body has its data under; the person's number is none of them."""
    names: set[str] = set()
    for name, field in model.model_fields.items():
        aliases = {one.casefold() for one in (field.alias, field.validation_alias) if isinstance(one, str)}
        names |= aliases or {name.casefold()}
    return names - {_IDENTIFIER}


def _is_error(name: str, value: object, *, beside_own: bool) -> bool:
    """Whether a field at the top of an answer that is no refusal tells of an error all the same."""
    if name in _ERRORS:
        return bool(value)
    if name in _ERROR_CODES:
        return value not in (None, 0, "", "0")
    return name in _CODES and value is not None and not beside_own


def _codes_in(value: object) -> list[str]:
    """Every code in `value`, at any depth, and "" for each error that is told of without one."""
    found: list[str] = []
    _find_codes(value, found)
    return found


def _find_codes(value: object, found: list[str], *, is_code: bool = False, is_error: bool = False) -> bool:
    """Adds the codes in `value` to `found`, each part of it looked at once; whether one of them says anything."""
    if isinstance(value, list):
        said = [
            _find_codes(inner, found, is_code=is_code, is_error=is_error and not isinstance(inner, list))
            for inner in value
        ]
        return any(said)
    if isinstance(value, dict):
        said = [
            _find_codes(inner, found, is_code=name.casefold() in _CODES, is_error=name.casefold() in _ERRORS)
            for name, inner in value.items()
        ]
        if is_error and not any(said):
            found.append("")
        return any(said)
    if is_code and value is not None:
        found.append(str(value))
        return bool(found[-1])
    return False


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


def _iso_date(value: object) -> date:
    """Only `2023-03-13`: the parser's other forms (numbers, times, weeks) would be guesses at what is meant."""
    if not isinstance(value, str):
        raise ValueError("not a text")  # noqa: TRY004 - pydantic takes a TypeError for a defect of ours
    day = date.fromisoformat(value)
    if day.isoformat() != value:
        raise ValueError("not year-month-day")
    return day


IsoDate = Annotated[date, BeforeValidator(_iso_date)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]
Many = Annotated[tuple[T, ...], Strict(False), FailFast()]  # noqa: FBT003 - a JSON array is a list, which strict refuses
"""Told by its first item that is wrong: to tell of a million would take a worker's memory."""


def extent(value: object) -> int:
    """How much an answer holds, in characters of JSON, roughly: its texts, and a few for whatever else."""
    if isinstance(value, str):
        return len(value) + FEW_CHARACTERS
    if isinstance(value, tuple):
        return sum(map(extent, value))
    if isinstance(value, BaseModel):
        return sum(map(extent, value.__dict__.values()))
    return FEW_CHARACTERS


class WireModel(BaseModel):
    """A part of an answer, in the register's own vocabulary. What it holds of a citizen is kept out of its repr."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", hide_input_in_errors=True)

    def __repr_args__(self) -> Iterable[tuple[str | None, object]]:
        return ()
