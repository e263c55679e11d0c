"""Expectations that the registers behind DFDG share: one operation, asked about one citizen."""

from collections.abc import Awaitable, Callable
from typing import Final

from config.settings import Settings
from registerbro.conformance.assumptions import error_body
from registerbro.conformance.expectations import Asked, Assumption, Expected, Operation
from registerbro.conformance.json_shape import shape
from registerbro.upstreams import dfdg_protocol

ERROR_BODY: Final = error_body(
    "the names of a code, and of what is an error and nothing else, in any spelling; the codes are published and the "
    "JSON around them is not"
)

_CODES: Final = dfdg_protocol.NO_DATA | frozenset(dfdg_protocol.ERRORS)


def about_a_citizen(
    name: str,
    fetch: Callable[..., Awaitable[object]],
    expected: Expected,
    *assumptions: Assumption,
    path: Callable[[Settings], str] | None = None,
) -> Operation:
    """The operation that `fetch`, the register's own, asks for, of upstream and number.

    `path` is the setting that it is given beside them, where the operation is not at the upstream's PATH.
    """

    async def call(asked: Asked) -> object:
        elsewhere = () if path is None else (path(asked.settings),)
        return await fetch(asked.upstream, asked.cpr, *elsewhere)

    return Operation(name, call, expected, shape, (*assumptions, ERROR_BODY), refusal_codes=_CODES)
