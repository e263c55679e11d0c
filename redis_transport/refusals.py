"""Refusals: answers by which Redis declines a command for a while, told apart from errors of the command itself.

Redis refuses while it follows another server, is full, cannot write, is busy or starts. kombu and Celery treat a
refusal as an error of the connection, so workers try again until it passes.
"""

# mypy: disallow-untyped-calls=False, disallow-any-unimported=False, disallow-subclassing-any=False

import re
from functools import lru_cache
from typing import Any

from redis import ResponseError


class Refused(ResponseError):
    """Redis answers that it will not do this now.

    To kombu and Celery it is an error of the connection; to redis-py it is an answer, and the connection stays.
    """


_CODES = re.compile(
    r"(?:^|[ :]-)(READONLY|UNBLOCKED|MISCONF|NOREPLICAS|BUSY|OOM|LOADING|MASTERDOWN|CLUSTERDOWN|TRYAGAIN)\b"
)
"""Codes of answers that pass by themselves, as Redis gives them and, before 7.0, as it quotes them for a script."""


def is_refusal(error: ResponseError) -> bool:
    """Tells a refusal from an error of the command.

    Args:
        error: what redis-py made of the answer.

    Returns:
        Whether the same command may succeed later.
    """
    code = getattr(error, "status_code", None) or ""
    return _CODES.search(f"{code} {error}" if code else str(error)) is not None


def make_refusing(connection_class: type[Any]) -> type[Any]:
    """Derives a class of connections that raise `Refused`: one place for all commands, since any may be refused.

    Args:
        connection_class: a connection class of redis-py.

    Returns:
        A subclass whose `read_response` raises `Refused` in place of a refusal's `ResponseError`.
    """

    class Connection(connection_class):
        def read_response(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            try:
                return super().read_response(*args, **kwargs)
            except ResponseError as error:
                if isinstance(error, Refused) or not is_refusal(error):
                    raise
                raise Refused(*error.args) from None

    return Connection


refusing = lru_cache(make_refusing)
"""`make_refusing`, once for each class that lives as long as the process."""
