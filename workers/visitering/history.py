"""Past of a citizen's contact groups: each fetch is a look at the current ones, and the ledger keeps what looks showed.

Without the ledger the current groups are known and the past ones are not, so that the rule of §2.2 says »Ukendt« where
no group is open; the absence, which needs no past, is shown all the same.
"""

import asyncio
from dataclasses import replace
from datetime import timedelta

import structlog

from domain.cpr import Cpr
from domain.overview import Normalised
from registerbro.refresh.register import Fetched
from registerbro.services import Services
from registerbro.storage.ledger.contact_groups import Look
from registerbro.storage.redis_client import REDIS_DOWN

log = structlog.get_logger()

LEDGER_WITHIN = timedelta(seconds=1)
"""How long a fetch waits for the ledger."""


async def with_past(services: Services, cpr: Cpr, found: Normalised, look: Look) -> Fetched:
    """The fetch's result, with all contact groups that this look and the ones before have shown.

    Without the ledger it has this look's alone, and is fresh for no longer than a failure is remembered.
    """
    settings = services.settings.visitering
    ids = services.citizens.ids_of(cpr)
    try:
        async with asyncio.timeout(LEDGER_WITHIN.total_seconds()):
            history = await services.contact_groups.join(ids, look, settings.history_kept_for)
    except REDIS_DOWN as error:
        log.error("contact_groups_not_kept", citizen=ids[0], detail=type(error).__name__)
        return Fetched(found, fresh_for=settings.retry_after)
    return Fetched(replace(found, sections={**found.sections, "contact_groups": history.shown()}))
