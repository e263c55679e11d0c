"""An audit log in a folder of its own, beside a real ledger, and what wrote it."""

import pytest

from registerbro import audit_log
from registerbro.audit_log import AuditWriter
from registerbro.storage.coordination.leases import CITIZENS_WISH
from registerbro.upstreams.errors import NotAudited

ME, OTHER = "a" * 52, "b" * 52


class Log:
    """The folder, the ledger and the journals over them."""

    def __init__(self, services, directory):
        self.services = services
        self.directory = directory
        self.journals = []

    def journal(self, **rest):
        self.journals.append(AuditWriter(self.services.settings, self.services.audit_anchors, **rest))
        return self.journals[-1]

    async def fill(self, look_ups=5, citizen=ME, wish=CITIZENS_WISH):
        """A process that makes so many look-ups and ends in order."""
        journal = self.journal()
        for _ in range(look_ups):
            await look_up(journal, citizen, wish)
        await journal.close()

    async def verify(self):
        return audit_log.verify(self.directory, await self.services.audit_anchors.read())

    @property
    def files(self):
        return sorted(self.directory.rglob("*.jsonl"))


async def look_up(journal, citizen=ME, wish=CITIZENS_WISH, upstream="udb", outcome="answered"):
    with audit_log.about(citizen, wish):
        trail = journal.look_up(upstream)
        await trail.call("request-1", "trace-1")
        trail.answered(outcome)
        trail.end()


@pytest.fixture
async def log(services, audit_dir):
    it = Log(services, audit_dir)
    yield it
    for journal in it.journals:
        await journal.close()


__all__ = ["ME", "OTHER", "NotAudited", "look_up"]
