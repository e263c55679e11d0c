"""Expectations of SU: one operation, assumed in full.

ASSUMED: SU is read with one operation, at the default path. STAR's description of SU's data would settle it.

ASSUMED: SU's answer has the fields of `wire.py`. An answer from STAR's test environment would settle it.

ASSUMED: SU's types of education are those of `wire.py`. STAR's code lists would settle it.
"""

from typing import Final

from registerbro.conformance.assumptions import address, codes, fields
from registerbro.conformance.expectations import Mark, Operation
from registerbro.conformance.json_shape import expected
from workers.dfdg_gateway.expectations import about_a_citizen
from workers.su import wire
from workers.su.client import fetch

_CODES: Final = {f"forloeb[].{name}": known for name, known in wire.KNOWN.items()}

OPERATIONS: Final[tuple[Operation, ...]] = (
    about_a_citizen(
        "su-forloeb",
        fetch,
        expected(wire.SuData, Mark.ASSUMED, codes=_CODES),
        address("SU is read with one operation, at the default path"),
        fields("SU's answer has the fields of `wire.py`", "civilRegistrationIdentifier", "forloeb[]"),
        codes("SU's types of education are those of `wire.py`", *_CODES),
    ),
)
