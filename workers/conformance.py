"""Table of the operations of every upstream, for `registerbro conformance`; it imports no task."""

from collections.abc import Mapping
from typing import Final

from registerbro.conformance.expectations import Operation
from workers.booking_vendor import expectations as booking_vendor
from workers.borgerindsats import expectations as borgerindsats
from workers.eindkomst import cvr_expectations as cvr
from workers.eindkomst import expectations as eindkomst
from workers.jobsearch import expectations as jobsearch
from workers.kontaktforloeb import expectations as kontaktforloeb
from workers.su import expectations as su
from workers.udb import expectations as udb
from workers.visitering import expectations as visitering
from workers.ydelse import expectations as ydelse

OPERATIONS: Final[Mapping[str, tuple[Operation, ...]]] = {
    "udb": udb.OPERATIONS,
    "su": su.OPERATIONS,
    "eindkomst": eindkomst.OPERATIONS,
    "cvr": cvr.OPERATIONS,
    "ydelse": ydelse.OPERATIONS,
    "visitering": visitering.OPERATIONS,
    "kontaktforloeb": kontaktforloeb.OPERATIONS,
    "jobsearch": jobsearch.OPERATIONS,
    "borgerindsats": borgerindsats.OPERATIONS,
    "booking_vendor": booking_vendor.OPERATIONS,
}
"""Upstream → its operations, in the order in which they are made."""
