"""Expectations of CVR's search: built as its public clients use it."""

from typing import Final

from registerbro.conformance.expectations import Asked, Mark, Operation
from registerbro.conformance.json_shape import expected, shape
from registerbro.upstreams.pipeline import Exchange
from workers.eindkomst import cvr_wire, employers

_COMPANY: Final = "hits.hits[]._source.Vrvirksomhed"


async def _search(asked: Asked) -> cvr_wire.Found | None:
    """Looks one company up; None when CVR does not know it."""
    numbers = [asked.company]
    exchange = Exchange(lambda _: employers.question(asked.upstream.path, numbers, asked.settings.cvr), cvr_wire.read)
    found = await asked.upstream.ask(exchange)
    return found if found.by_number or found.left_out else None


OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        "search",
        _search,
        expected(
            cvr_wire.SearchResult,
            Mark.LIKELY,
            within={
                "hits.hits[]": cvr_wire.Hit,
                f"{_COMPANY}.virksomhedMetadata.nyesteVirksomhedsform": cvr_wire.Form,
                f"{_COMPANY}.navne[]": cvr_wire.PastName,
                f"{_COMPANY}.virksomhedsform[]": cvr_wire.Form,
            },
        ),
        shape,
        is_about_a_citizen=False,
    ),
)
