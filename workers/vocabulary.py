"""Values that the contract with a register does not know: what has one is left out and named; nothing else fails."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TypeVar

from workers.domain.overview import Normalised, SectionItems, UnknownValue
from workers.resilience.errors import InvalidResponse

T = TypeVar("T")

_SHOWN_CHARACTERS = 40
_CPR_DIGITS = 10


def known_only(
    items: Iterable[T], vocabulary: Mapping[str, Collection[str]]
) -> tuple[Sequence[T], tuple[UnknownValue, ...]]:
    """The items, each once, with only values that the contract knows; and the values for which others were left out.

    `vocabulary` is field → the values that the contract knows for it; a field that is None holds no value.
    """
    known: list[T] = []
    unknown: list[UnknownValue] = []
    for item in dict.fromkeys(items):
        values = ((field, getattr(item, field)) for field in vocabulary)
        strange = [(field, value) for field, value in values if value is not None and value not in vocabulary[field]]
        unknown += (UnknownValue(field, _showable(value)) for field, value in strange)
        if not strange:
            known.append(item)
    return known, tuple(unknown)


def _showable(value: str) -> str:
    """At most 40 characters for a log line, and nothing of a value in which there is room for a CPR number."""
    if sum(character.isdigit() for character in value) >= _CPR_DIGITS:
        return "?"
    return value[:_SHOWN_CHARACTERS]


def normalised(sections: SectionItems, unknown: tuple[UnknownValue, ...]) -> Normalised:
    """The register's sections.

    Raises InvalidResponse when something was left out and nothing else is there to show: that must not look like no
    data (R8).
    """
    if unknown and not any(sections.values()):
        named = ", ".join(sorted({f"{left_out.field} {left_out.value!r}" for left_out in unknown})[:3])
        raise InvalidResponse(f"nothing is left of the answer without its unknown values: {named}")
    return Normalised(sections, unknown)
