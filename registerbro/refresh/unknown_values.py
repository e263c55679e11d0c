"""Unknown values: drops items with values that the register's contract does not list, and reports those values."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TypeVar

from domain.overview import Normalised, SectionItems, UnknownValue
from registerbro.upstreams.errors import InvalidResponse

T = TypeVar("T")

MISSING = "missing"
_SHOWN_CHARACTERS = 40
_CPR_DIGITS = 10


class NothingKnown(InvalidResponse):
    """An answer of which nothing is left to show without its unknown values, which are `unknown`.

    It is a failure, since it must not look like no data (R8): a calendar of entries of an unknown type makes one.
    """

    def __init__(self, unknown: tuple[UnknownValue, ...]) -> None:
        named = ", ".join(sorted({f"{left_out.field} {left_out.value!r}" for left_out in unknown})[:3])
        super().__init__(f"nothing is left of the answer without its unknown values: {named}")
        self.unknown = unknown


def known_only(
    items: Iterable[T], vocabulary: Mapping[str, Collection[str]]
) -> tuple[Sequence[T], tuple[UnknownValue, ...]]:
    """Splits items into those with known values alone, each once, and the unknown values of the dropped ones.

    `vocabulary` is field → the values that the contract lists for it; None in a field is no value.
    """
    known: list[T] = []
    unknown: list[UnknownValue] = []
    for item in dict.fromkeys(items):
        values = ((field, getattr(item, field)) for field in vocabulary)
        strange = [(field, value) for field, value in values if value is not None and value not in vocabulary[field]]
        unknown += (UnknownValue(field, showable(value)) for field, value in strange)
        if not strange:
            known.append(item)
    return known, tuple(unknown)


def showable(value: str) -> str:
    """A value for a log line: at most 40 characters, and nothing of one in which there is room for a CPR number."""
    if sum(character.isdigit() for character in value) >= _CPR_DIGITS:
        return "?"
    return value[:_SHOWN_CHARACTERS]


def told(code: object) -> str:
    """A code of any type for a log line: MISSING for None, and "?" for what is no code, such as a list."""
    if code is None:
        return MISSING
    return showable(str(code)) if isinstance(code, str | int | float) else "?"


def normalised(sections: SectionItems, unknown: tuple[UnknownValue, ...]) -> Normalised:
    """The register's sections.

    Raises NothingKnown when something was left out and nothing else is there to show.
    """
    if unknown and not any(sections.values()):
        raise NothingKnown(unknown)
    return Normalised(sections, unknown)
