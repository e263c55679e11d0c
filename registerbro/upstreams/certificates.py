"""Certificates of an upstream: reads their files, reloads those that change, and makes the TLS context of calls.

A broken replacement is logged, and the certificates before it stay in use. `certificate_files.py` reads the formats.
"""

import asyncio
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Self, TypeVar

import structlog

from config.reloading import Watched
from config.settings import Settings, UpstreamSettings, variable
from registerbro.telemetry import metrics
from registerbro.upstreams.certificate_files import Identity, Revoked, Trusted

log = structlog.get_logger()

CHECK_EVERY_SECONDS = 5.0
"""Shortest time between two checks of a file for changes; a check is one stat."""

T = TypeVar("T")


class Certificates:
    """All certificates of one upstream, by the names of their settings.

    Raises SettingsError, which names the setting, when one of the files cannot be used. `secret` gives a secret of the
    upstream as it is now, by the name of its setting; when None, it is the one in `chosen`.
    """

    def __init__(
        self,
        chosen: UpstreamSettings,
        upstream: str = "upstream",
        secret: Callable[[str], str | None] | None = None,
    ) -> None:
        self._secret = secret or (lambda name: _secret_of(chosen, name))
        self.identities = {
            name: self._watched(upstream, name, path, Identity.parse)
            for name in chosen.identities
            if (path := getattr(chosen, name)) is not None
        }
        self.trusted = {
            name: self._watched(upstream, name, path, Trusted.parse)
            for name in chosen.authorities
            if (path := getattr(chosen, name)) is not None
        }
        self.revoked = {
            name: self._watched(upstream, name, path, Revoked.parse)
            for name in chosen.revocations
            if (path := getattr(chosen, name)) is not None
        }
        self._accepts_expired = chosen.crl_expired == "accept"
        self._told: dict[str, Revoked] = {}
        self._upstream = upstream
        self.files: dict[str, Watched[Identity] | Watched[Trusted]] = {**self.identities, **self.trusted}
        self._check_at = time.monotonic() + CHECK_EVERY_SECONDS
        self._made_of: tuple[Identity | None, Trusted | None, Revoked | None] | None = None
        self._context: ssl.SSLContext

    @classmethod
    def of(cls, settings: Settings, upstream: str) -> Self:
        """The certificates of one upstream of an installation; this process's metrics show when they expire."""
        it = cls(settings.upstream(upstream), upstream, lambda name: settings.current_secret(upstream, name))
        for name, file in it.files.items():
            metrics.CERTIFICATE_EXPIRY.labels(upstream, name).set_function(it._expiry_of(file))
        for name, lists in it.revoked.items():
            metrics.CRL_EXPIRY.labels(upstream, name).set_function(it._expiry_of(lists))
        return it

    @property
    def client(self) -> Identity | None:
        """Our client certificate."""
        file = self.identities.get("client_cert")
        return file.value if file else None

    def context(self) -> ssl.SSLContext:
        """The TLS context for connections to the upstream; the same object until one of its files has changed."""
        bundle = self.trusted.get("ca_bundle")
        wanted = self.client, bundle.value if bundle else None, self.revocations("crl_file")
        if wanted != self._made_of:
            self._context = _context(*wanted)
            self._made_of = wanted
        return self._context

    def revocations(self, name: str) -> Revoked | None:
        """The revocation lists of a setting; None without any, or when they have expired and CRL_EXPIRED accepts that.

        Where it does not, expired lists are returned: with them, no certificate is trusted.
        """
        file = self.revoked.get(name)
        if file is None or file.value.expires > datetime.now(UTC):
            return file.value if file else None
        if self._told.get(name) is not file.value:
            self._told[name] = file.value
            accepted = "accepted" if self._accepts_expired else "refused"
            log.error("revocation_list_expired", upstream=self._upstream, setting=name, connections=accepted)
        return None if self._accepts_expired else file.value

    async def reload_changed(self) -> None:
        """Reloads changed files, in a thread, if the last check is CHECK_EVERY_SECONDS ago."""
        if self._claim():
            await asyncio.to_thread(self._reload_changed)

    def _claim(self) -> bool:
        now = time.monotonic()
        if not (self.files or self.revoked) or now < self._check_at:
            return False
        self._check_at = now + CHECK_EVERY_SECONDS
        return True

    def _reload_changed(self) -> None:
        for file in (*self.files.values(), *self.revoked.values()):
            file.look()

    def _expiry_of(self, file: Watched[Identity] | Watched[Trusted] | Watched[Revoked]) -> Callable[[], float]:
        def expiry() -> float:
            if self._claim():
                self._reload_changed()
            return file.value.expires.timestamp()

        return expiry

    def _watched(self, upstream: str, name: str, path: Path, parse: Callable[[bytes, str | None], T]) -> Watched[T]:
        return Watched(
            variable(upstream, name),
            path,
            lambda content: parse(content, self._secret(f"{name}_passphrase")),
            reloaded=lambda setting: log.info("certificate_reloaded", setting=setting),
            not_reloaded=lambda setting, why: log.error("certificate_not_reloaded", setting=setting, detail=why),
        )


def _secret_of(chosen: UpstreamSettings, name: str) -> str | None:
    secret = getattr(chosen, name, None)
    return secret.get_secret_value() if secret else None


def _context(client: Identity | None, trusted: Trusted | None, revoked: Revoked | None) -> ssl.SSLContext:
    """TLS 1.2 or newer, with the other side's certificate and host name checked, and that it was not revoked."""
    context = ssl.create_default_context(cadata=trusted.pem if trusted else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if client:
        client.show_in(context)
    if revoked:
        revoked.check_in(context)
    return context
