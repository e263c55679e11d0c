"""Composition root: the collaborators of a process, on its Redis connections and with a client per upstream."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import cached_property
from typing import TypeVar

from config.settings import BOOKING, Settings, upstream_of
from registerbro.audit_log import Anchors, AuditWriter
from registerbro.audit_log.writer import WRITE_WITHIN
from registerbro.fault_reports.outbox import Outbox
from registerbro.messaging.inspect import Queues
from registerbro.rules import CurrentRules
from registerbro.storage.cache.citizens import Citizens
from registerbro.storage.cache.entries import Entries
from registerbro.storage.cache.snapshots import Snapshots
from registerbro.storage.coordination.leases import Leases
from registerbro.storage.coordination.timetable import Timetable
from registerbro.storage.ledger.connection import Ledger
from registerbro.storage.ledger.contact_groups import ContactGroups
from registerbro.storage.ledger.overrides import Overrides
from registerbro.storage.ledger.quarantine import Quarantine
from registerbro.storage.ledger.subscriptions import Subscriptions
from registerbro.storage.redis_client import connect
from registerbro.storage.sealing.keyring import Keyring
from registerbro.upstreams.admission import UpstreamAdmission
from registerbro.upstreams.certificates import Certificates
from registerbro.upstreams.credentials import Credentials
from registerbro.upstreams.http_client import HttpClient
from registerbro.upstreams.look_up_log import NoTrail
from registerbro.upstreams.pipeline import Upstream
from registerbro.upstreams.quarantine import Watch

T = TypeVar("T")


class Services:
    """Collaborators of one event loop. Connections open at their first use, and close with the loop.

    `sleep` waits between the attempts of a call. `clock` is the ledger's time in ms since 1970; its own when None.
    """

    def __init__(
        self,
        settings: Settings,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], int] | None = None,
    ) -> None:
        self.settings = settings
        self._sleep = sleep
        self.cache = connect(settings.cache_url.get_secret_value())
        self.coordination = connect(settings.coordination)
        self.ledger = Ledger(settings.ledger_url.get_secret_value())
        self.keyring = Keyring(settings)
        self.sealer = sealer = self.keyring.sealer
        self.citizens = Citizens(self.cache, sealer, self.keyring.peppers, settings.citizens_kept_for)
        self.entries = Entries(self.cache, sealer)
        self.snapshots = Snapshots(self.cache, self.entries, self.citizens)
        self.leases = Leases(self.coordination)
        self.timetable = Timetable(self.coordination)
        self.audit_anchors = Anchors(self.ledger)
        self.audit_log = AuditWriter(settings, self.audit_anchors)
        self.overrides = Overrides(self.ledger.redis)
        self.quarantine = Quarantine(self.ledger.redis)
        self.subscriptions = Subscriptions(self.ledger, sealer, clock)
        self.contact_groups = ContactGroups(self.ledger, sealer, clock)
        self.outbox = Outbox(self.ledger, sealer, self.keyring.peppers, settings.booking_vendor, clock)
        self.queues = Queues(settings)
        self.named_values: set[tuple[str, str, str]] = set()
        """Unknown values that this process has named in its log, each as register, field and value."""
        self._upstreams: dict[str, Upstream] = {}
        self._certificates: dict[str, Certificates] = {}
        self._credentials: dict[str, Credentials] = {}
        self._admissions: dict[str, UpstreamAdmission] = {}
        self._turns: dict[str, asyncio.Semaphore] = {}

    @cached_property
    def rules(self) -> CurrentRules:
        """Rules in force, opened at the first use: an operator's command that needs none is not kept from its work.

        Raises SettingsError when the rules file is refused; a process that serves opens them at its start.
        """
        return CurrentRules(self.settings)

    def upstream(self, name: str) -> Upstream:
        """The pipeline through which this process makes the calls of an admission, one of ADMISSIONS.

        Raises SettingsError without a base URL, or when a certificate or the file of a secret cannot be used.
        """
        if name not in self._upstreams:
            upstream = upstream_of(name)
            settings = self.settings.upstream(upstream)
            if name == BOOKING:
                # A citizen waits, and repeats it with the same key: each call is made once.
                settings = settings.model_copy(update={"max_attempts": 1})
            http = HttpClient(self.settings.base_url(upstream), settings, self.certificates(upstream))
            trail = self.audit_log if settings.looks_up_citizens else NoTrail()
            self._upstreams[name] = Upstream(
                name,
                settings,
                http,
                self.admission(name),
                trail,
                credentials=self.credentials(upstream),
                sleep=self._sleep,
            )
        return self._upstreams[name]

    def credentials(self, name: str) -> Credentials:
        """The headers that let calls into an upstream; one access token serves all its calls in this process.

        Raises SettingsError when one of the files cannot be used.
        """
        if name not in self._credentials:
            self._credentials[name] = Credentials.of(self.settings, name, self.certificates(name))
        return self._credentials[name]

    def certificates(self, name: str) -> Certificates:
        """The TLS identity for an upstream, read once. Raises SettingsError when one of the files cannot be used."""
        if name not in self._certificates:
            self._certificates[name] = Certificates.of(self.settings, name)
        return self._certificates[name]

    def admission(self, name: str) -> UpstreamAdmission:
        """The admission controller of this process, by the name of the admission."""
        if name not in self._admissions:
            settings = self.settings.upstream(upstream_of(name))
            self._admissions[name] = UpstreamAdmission.of(
                name,
                self.settings.admission(name),
                self.coordination,
                self.overrides,
                attempt=settings.attempt_timeout + (WRITE_WITHIN if settings.looks_up_citizens else timedelta(0)),
                watch=Watch(self.quarantine, name) if settings.looks_up_citizens else None,
            )
        return self._admissions[name]

    def turns(self, register: str) -> asyncio.Semaphore:
        """Semaphore of the schedule's refreshes of a register in this process.

        It admits no more than citizens' refreshes may run here, nor than all processes may run: further ones would only
        ask Redis whether there is room.
        """
        if register not in self._turns:
            at_once = self.settings.register(register).scheduled_at_once
            self._turns[register] = asyncio.Semaphore(min(self.settings.worker_concurrency, at_once))
        return self._turns[register]

    async def close(self) -> None:
        """Closes every connection."""
        for upstream in self._upstreams.values():
            await upstream.close()
        for credentials in self._credentials.values():
            await credentials.close()
        await self.audit_log.close()
        await self.cache.aclose()
        await self.coordination.aclose()
        await self.ledger.close()
        await asyncio.to_thread(self.queues.close)
