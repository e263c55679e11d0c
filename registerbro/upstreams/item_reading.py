"""Item reading: each item of a list in an answer is read by itself; an odd one is left out, and refuses no other.

A wire model declares such a list as `Annotated[Items[Frist], each(Frist, "Frist")]`.
"""

from collections.abc import Iterable
from typing import TypeVar

from pydantic import PlainValidator, ValidationError
from pydantic_core import PydanticCustomError

from domain.overview import LeftOut
from registerbro.upstreams.wire_types import WireModel

T = TypeVar("T")

Items = tuple[T | LeftOut, ...]
"""The items of a list in their order, and in place of each that cannot be read what is told of it."""


def each(model: type[WireModel], name: str) -> PlainValidator:
    """The validator of a list whose items are `model`s.

    What is left out is named by the first of its fields at fault, or by `name`, and by its place, such as »Frist 2«.
    A list of which nothing can be read is not of the contract, unless it is empty.
    """
    fields = {field.alias or name for name, field in model.model_fields.items()}

    def read(values: object) -> Items[WireModel]:
        if not isinstance(values, list):
            raise PydanticCustomError("no_list", "is not a list")
        items = tuple(read_one(item, f"{name} {number}") for number, item in enumerate(values, 1))
        if items and all(isinstance(item, LeftOut) for item in items):
            raise PydanticCustomError("no_readable_item", "has no item that can be read")
        return items

    def read_one(value: object, place: str) -> WireModel | LeftOut:
        if not isinstance(value, dict):
            # Without an error, of which there would be as many as fit into an answer.
            return LeftOut(name, place)
        try:
            return model.model_validate(value)
        except ValidationError as error:
            at_fault = error.errors(include_url=False, include_context=False, include_input=False)[0]["loc"]
        return LeftOut(next((str(part) for part in at_fault if part in fields), name), place)

    return PlainValidator(read, json_schema_input_type=list[model])  # type: ignore[valid-type]


def readable(items: Iterable[T | LeftOut]) -> list[T]:
    """The items that could be read."""
    return [item for item in items if not isinstance(item, LeftOut)]


def left_out(items: Iterable[object]) -> tuple[LeftOut, ...]:
    """What is left out."""
    return tuple(item for item in items if isinstance(item, LeftOut))
