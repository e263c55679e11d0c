"""What the registers behind DFDG have in common: how they are asked, how they refuse, and how their answers are read.

A register supplies data: a path and a model of its answer.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from datetime import date
from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Strict, StringConstraints

from workers.domain.cpr import Cpr, InvalidCpr
from workers.resilience.client import Answer, Question, validated
from workers.resilience.errors import (
    BadRequest,
    CallFailed,
    InvalidResponse,
    NotAuthorised,
    UpstreamUnavailable,
    WrongPerson,
)
from workers.resilience.upstream import Exchange, Upstream

CPR_HEADER = "x-civilRegistrationIdentifier"

UNKNOWN_PERSON = "1010"
"""DFDG's code for a person that the register does not know: no data, and no error."""

UNKNOWN_PERSON_STATUSES = frozenset({400, 404, 500})
"""The HTTP statuses with which DFDG gives its codes; with any other one, 1010 is not taken for an answer."""

ERRORS: Mapping[str, type[CallFailed]] = {
    "1012": NotAuthorised,
    "1013": NotAuthorised,
    "1100": NotAuthorised,
    "1101": NotAuthorised,
    "1001": BadRequest,
    "1014": BadRequest,
    "1011": UpstreamUnavailable,
}
"""What DFDG's other codes mean, the gravest first: of several codes the first one here decides."""

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
    """The answer as `model`; None when it says that the person is unknown. Raises the CallFailed that it means."""
    refusal = answer.refusal()
    if refusal is not None:
        _raise_unless_unknown_person(answer, cpr, refusal)
        return None
    values = answer.json()
    same_person(cpr, answer.body)
    if isinstance(values, dict) and values.get("fejl"):
        raise InvalidResponse("errors in an answer with status 200")
    return validated(model, values)


def _raise_unless_unknown_person(answer: Answer, cpr: Cpr, refusal: CallFailed) -> None:
    """Raises what DFDG's codes in the body mean; `refusal`, which is what the status means, when they say nothing."""
    codes = _codes(answer, cpr)
    for code, error in ERRORS.items():
        if code in codes:
            raise error(f"DFDG code {code}", retry_after=answer.retry_after)
    if codes != {UNKNOWN_PERSON} or answer.status not in UNKNOWN_PERSON_STATUSES:
        raise refusal


def _codes(answer: Answer, cpr: Cpr) -> Collection[str]:
    """DFDG's codes; none when the body is not of their form. Raises WrongPerson."""
    with suppress(InvalidResponse):
        values = answer.json()
        same_person(cpr, answer.body)
        return {error.kode for error in validated(_Errors, values).fejl}
    return set()


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


class WireModel(BaseModel):
    """A part of an answer, in the register's own vocabulary. What it holds of a citizen is kept out of its repr."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", hide_input_in_errors=True)

    def __repr_args__(self) -> Iterable[tuple[str | None, object]]:
        return ()


class _Error(WireModel):
    kode: str


class _Errors(WireModel):
    fejl: Many[_Error]
