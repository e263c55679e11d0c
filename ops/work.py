"""What a command does with an installation: over connections of its own, and with one line when something is wrong."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NoReturn, TypeVar

from config.settings import Settings
from ops.console import fail
from workers.audit import AuditNotWritten
from workers.connections import REDIS_DOWN
from workers.runtime import Services

T = TypeVar("T")


def with_services(settings: Settings, use: Callable[[Services], Awaitable[T]], redis_down: str) -> T:
    """What `use` gives. Ends the command in one line, which begins with `redis_down` when that is the reason."""

    async def run() -> T:
        services = Services(settings)
        try:
            return await use(services)
        finally:
            await services.close()

    try:
        return asyncio.run(run())
    except AuditNotWritten as error:
        not_recorded(error)
    except REDIS_DOWN as error:
        fail(f"{redis_down}: {str(error) or type(error).__name__}", status=1)


def not_recorded(error: AuditNotWritten) -> NoReturn:
    """Ends the command in one line."""
    fail(f"the audit log cannot be written, so nothing was done: {error}", status=1)
