"""Expectations of UngedataService: a subscription is made, the citizen's events are fetched, and it is cancelled.

Subscribing and cancelling are writes. Whoever has both tried leaves no subscription behind, also where the citizen had
one, and the ledger has no record of either.
"""

from typing import Final

from registerbro.conformance.assumptions import address, codes, fields
from registerbro.conformance.expectations import Asked, Assumption, Evidence, Expected, Form, Mark, Operation, Verdict
from registerbro.conformance.json_shape import expected, shape
from registerbro.upstreams import dfdg_protocol
from workers.dfdg_gateway.expectations import about_a_citizen
from workers.udb import client, wire

_CODES: Final = {
    "haendelser[].haendelsestype": wire.KNOWN["haendelsestype"],
    "haendelser[].uddannelse.type": wire.KNOWN["type"],
    "haendelser[].uddannelse.kompetence": wire.KNOWN["kompetence"],
}
_RECEIPT: Final = Expected("", Form.ANY, is_open=True)
"""The published answer to a write is empty."""
_REFUSALS: Final = dfdg_protocol.NO_DATA | frozenset(dfdg_protocol.ERRORS) | frozenset(wire.REFUSALS)


async def _subscribe(asked: Asked) -> str:
    return await client.subscribe(asked.upstream, asked.cpr) or "subscribed"


async def _cancel(asked: Asked) -> str:
    await client.cancel(asked.upstream, asked.cpr)
    return "cancelled"


def _never_met(evidence: Evidence) -> tuple[Verdict, str]:
    """An answer shows whether there is such a field, and not that it never has another text."""
    seen = evidence.fields.get("haendelser[].aarsag")
    return Verdict.NOT_SEEN, "there are reasons: compare with who never came" if seen and seen.is_found else ""


def _refused_at_a_cancellation(evidence: Evidence) -> tuple[Verdict, str]:
    return (Verdict.HOLDS if evidence.is_read and (evidence.status or 0) >= 400 else Verdict.NOT_SEEN), ""


OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation("abonnement", _subscribe, _RECEIPT, shape, writes=True, refusal_codes=_REFUSALS),
    about_a_citizen(
        "haendelser",
        client.fetch,
        expected(wire.Haendelser, Mark.ASSUMED, codes=_CODES),
        address("the path of the citizen's events, `/v1/UDBhaendelser`, which the published page does not show"),
        fields(
            "the citizen's number stands at its top, and the events are in `haendelser`",
            "civilRegistrationIdentifier",
            "haendelser[]",
            within=False,
        ),
        fields(
            "the names and the form of an event's fields; published are its kinds and that it has a date",
            "haendelser[]",
        ),
        codes("the values of these fields; published is what they mean", *_CODES),
        Assumption(
            "it comes as this text, in any case, in a field `aarsag`; published is that there is such a reason",
            _never_met,
        ),
    ),
    Operation(
        "annullering",
        _cancel,
        _RECEIPT,
        shape,
        (
            address(
                "a subscription is cancelled with DELETE at the path where it was made; the path of the page on "
                "cancelling is cut"
            ),
            Assumption(
                "a citizen of whom one of these codes says that at a cancellation has no subscription",
                _refused_at_a_cancellation,
            ),
        ),
        writes=True,
        refusal_codes=_REFUSALS,
    ),
)
