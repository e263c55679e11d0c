"""`registerbro doctor`: checks what an installation depends on, and advises on each problem that it finds.

One module, because it is one list of small checks: each is a function that yields findings.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from redis.asyncio import Redis

from cli.rules import next_change
from cli.session import open_settings
from config.celery import QUEUES, REGISTERS
from config.settings import (
    PREFIX,
    UPSTREAMS,
    Settings,
    SettingsError,
    environment_problems,
    variable,
    without_credentials,
)
from domain.service_windows import DENMARK, closed_until, danish_today
from registerbro.audit_log import usable
from registerbro.fault_reports.model import DEAD_LETTERS, FOR_OPERATORS
from registerbro.rules import CurrentRules
from registerbro.services import Services
from registerbro.storage.coordination import partial_answers, queue_liveness, unknown_values
from registerbro.storage.redis_client import REDIS_DOWN
from registerbro.terminal import Cell, say_json, show, table
from registerbro.upstreams.certificate_files import Revoked
from registerbro.upstreams.errors import NotAuthorised, UpstreamError
from registerbro.upstreams.http_client import reach
from registerbro.upstreams.ws_security import Security

CONNECT_SECONDS = 5.0
RENEW_WITHIN = timedelta(days=30)
"""Remaining validity below which a certificate is warned of: an OCES certificate takes weeks to get."""
AUDIT_ROOM = 1024**3
"""Free bytes on the audit log's disk below which it is warned of: some days of 100,000 citizens."""
OLDEST_REDIS = (6, 2)


class Verdict(StrEnum):
    """Severity of a finding; `fail` alone makes the exit status 1."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of one check: its name, its severity, the observation, and advice."""

    check: str
    verdict: Verdict
    seen: str
    advice: str = ""


def doctor(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:  # noqa: FBT002
    """Check settings, Redis, certificates, upstreams and workers, and say what to do. Exit status 1 if one fails."""
    findings = asyncio.run(_examine(open_settings()))
    if as_json:
        say_json([asdict(finding) for finding in findings])
    else:
        _print(findings)
    if any(finding.verdict is Verdict.FAIL for finding in findings):
        raise typer.Exit(1)


async def _examine(settings: Settings) -> list[Finding]:
    services = Services(settings)
    try:
        return [
            *_settings(settings),
            _rules(settings),
            *[finding async for finding in _redis(services)],
            *[finding async for finding in _audit(services)],
            *_certificates(settings, services),
            *_revocations(settings, services),
            _signature(settings, services),
            *await asyncio.gather(*(_upstream(services, name) for name in UPSTREAMS)),
            *[found for found in await asyncio.gather(*(_token(services, name) for name in UPSTREAMS)) if found],
            *[finding async for finding in _workers(services)],
            *[finding async for finding in _answers(services)],
            *[finding async for finding in _unknown_values(services)],
            *[finding async for finding in _reports(services)],
        ]
    finally:
        await services.close()


def _settings(settings: Settings) -> Iterator[Finding]:
    for problem in environment_problems():
        yield Finding("settings", Verdict.WARN, f"{problem} names no setting", "correct its name, or remove it")
    for name in UPSTREAMS:
        try:
            settings.require(name)
        except SettingsError as error:
            advice = f"the workers of {name} do not start without it; elsewhere it is not needed"
            yield Finding(f"settings of {name}", Verdict.WARN, str(error), advice)
    try:
        settings.require_portal()
    except SettingsError as error:
        yield Finding(
            "settings of the portal", Verdict.WARN, str(error), "`registerbro serve` does not start without it"
        )
    if settings.demo.signing_key_file:
        seen = f"{PREFIX}DEMO__SIGNING_KEY_FILE is set: anybody may log in as a constructed citizen"
        yield Finding("demo", Verdict.WARN, seen, "remove it wherever real citizens are served")


def _rules(settings: Settings) -> Finding:
    """Finding on the rules file: what a process that starts now would do with it."""
    try:
        rules = CurrentRules(settings).now()
    except SettingsError as error:
        advice = (
            "processes that run keep the rules of before, and none starts: mend it, `registerbro rules check` tries it"
        )
        return Finding("rules", Verdict.FAIL, str(error), advice)
    today = danish_today()
    turn = next_change(rules, today)
    upcoming = f"the next change is on {turn}" if turn else "no change is known"
    return Finding(
        "rules", Verdict.OK, f"{settings.rules_file or 'the default ones'}; {upcoming}", "see `registerbro rules`"
    )


async def _redis(services: Services) -> AsyncIterator[Finding]:
    for role, server in (
        ("broker", services.coordination),
        ("ledger", services.ledger.redis),
        ("cache", services.cache),
    ):
        try:
            yield await _server(role, server)
        except REDIS_DOWN as error:
            advice = f"is it running, and does {PREFIX}{role.upper()}_URL name it?"
            yield Finding(f"redis: {role}", Verdict.FAIL, f"does not answer: {type(error).__name__}: {error}", advice)


async def _server(role: str, server: Redis) -> Finding:
    info: dict[str, Any] = await server.info("server")
    name, release = f"redis: {role}", _release(info)
    if tuple(int(part) for part in str(info["redis_version"]).split(".")[:2]) < OLDEST_REDIS:
        return Finding(name, Verdict.FAIL, release, "6.2 is the oldest that is tested")
    # The ledger's connections have refused a server that is not durable, so this one is.
    wanted = {"broker": {"noeviction"}, "ledger": {"noeviction"}, "cache": {"volatile-lru", "volatile-ttl"}}[role]
    try:
        found = (await server.config_get("maxmemory-policy")).get("maxmemory-policy", "")
    except REDIS_DOWN:
        # registerbro/storage/acl.py lets the ledger's users alone read the configuration.
        return Finding(name, Verdict.OK, f"{release}, as a user who may not see its settings")
    if found not in wanted:
        advice = f"set maxmemory-policy to {min(wanted)}: see config/redis/{role}.conf"
        return Finding(name, Verdict.WARN, f"{release}, maxmemory-policy {found}", advice)
    try:
        user = str(await server.acl_whoami())
    except REDIS_DOWN:
        user = "a user with rights of its own"
    if user == "default":
        user = "default, who may do everything (docs/security.md)"
    return Finding(name, Verdict.OK, f"{release}, maxmemory-policy {found}, as {user}")


def _release(info: Mapping[str, Any]) -> str:
    """A server's name and version; Valkey's `redis_version` is that of the Redis it is compatible with."""
    if "valkey_version" in info:
        return f"Valkey {info['valkey_version']}"
    return f"Redis {info['redis_version']}"


async def _audit(services: Services) -> AsyncIterator[Finding]:
    try:
        directory = usable(services.settings)
    except SettingsError as error:
        advice = "neither a register's workers nor the portal start without it, and what operators do is refused"
        yield Finding("audit log", Verdict.FAIL, str(error), advice)
        return
    free = shutil.disk_usage(directory).free
    if free < AUDIT_ROOM:
        advice = "make room: where it cannot be written, nobody is looked up"
        yield Finding("audit log", Verdict.WARN, f"{directory} has {free // 1024**2} MiB left", advice)
    try:
        chains = len(await services.audit_anchors.read())
    except REDIS_DOWN:
        yield Finding("audit log", Verdict.WARN, "the ledger does not answer", "what is cut off now would not show")
        return
    if free >= AUDIT_ROOM:
        seen = f"{directory} can be written to; the ledger knows of {chains} chains"
        yield Finding("audit log", Verdict.OK, seen, "`registerbro audit verify` looks whether it is whole")


def _certificates(settings: Settings, services: Services) -> Iterator[Finding]:
    for name in UPSTREAMS:
        try:
            certificates = services.certificates(name)
        except SettingsError as error:
            advice = "nothing is called with it; a worker that is running goes on with what it had"
            verdict = Verdict.FAIL
            if not all(path.exists() for path in settings.upstream(name).files):
                verdict, advice = (
                    Verdict.WARN,
                    f"the workers of {name} do not start without it; elsewhere it is not needed",
                )
            yield Finding(f"certificate of {name}", verdict, str(error), advice)
            continue
        for setting, file in certificates.files.items():
            yield _certificate(name, getattr(settings.upstream(name), setting), file.value.expires)


def _revocations(settings: Settings, services: Services) -> Iterator[Finding]:
    """Findings on revocation lists; a file that cannot be used is a finding of `_certificates`."""
    unasked = [name for name in UPSTREAMS if settings.upstream(name).crl_file is None]
    if unasked:
        seen = f"not asked about the certificates of {', '.join(unasked)}"
        yield Finding("revocation", Verdict.OK, seen, "set …__CRL_FILE where the agreement names a list")
    for name in UPSTREAMS:
        with suppress(SettingsError):
            for setting, file in services.certificates(name).revoked.items():
                yield _revocation(settings, name, setting, file.value)


def _revocation(settings: Settings, upstream: str, setting: str, lists: Revoked) -> Finding:
    chosen = settings.upstream(upstream)
    check, path = f"revocation: {upstream}", getattr(chosen, setting)
    ends = f"{lists.expires.astimezone(DENMARK):%Y-%m-%d %H:%M}"
    if lists.expires > datetime.now(UTC):
        return Finding(check, Verdict.OK, f"{path} names {lists.count} certificates, and is in force until {ends}")
    seen, advice = f"{path} was to be replaced by {ends}", "put the present list in its place (docs/operations.md)"
    if chosen.crl_expired == "accept":
        return Finding(check, Verdict.WARN, f"{seen}: nobody is asked whether a certificate was revoked", advice)
    return Finding(check, Verdict.FAIL, f"{seen}: until then nothing of theirs is believed", advice)


def _certificate(upstream: str, path: Path, ends: datetime) -> Finding:
    check = f"certificate of {upstream}"
    left = ends - datetime.now(UTC)
    seen = f"{path} is valid until {ends.astimezone(DENMARK):%Y-%m-%d %H:%M}"
    if left <= timedelta(0):
        return Finding(check, Verdict.FAIL, seen, "it has expired: put a new one in its place (docs/operations.md)")
    if left <= RENEW_WITHIN:
        return Finding(check, Verdict.WARN, seen, "order the next one now (docs/operations.md)")
    return Finding(check, Verdict.OK, seen)


def _signature(settings: Settings, services: Services) -> Finding:
    """Finding on eIndkomst's WS-Security as it is set; of a file, only whether its key fits the settings."""
    check, chosen = "signature of eindkomst", settings.eindkomst
    signed, verified = "questions are not signed", "answers are not verified"
    weak = []
    if chosen.signing_cert:
        token = "with the token" if chosen.sign_token else "without the token"
        signed = f"questions are signed with {chosen.signature}, {token}"
        weak += ["SIGNATURE"] * (chosen.signature == "sha1")
    if chosen.verify_with:
        verified = f"answers are verified with {' or '.join(sorted(chosen.verified))}"
        weak += ["VERIFY_ALGORITHMS"] * ("sha1" in chosen.verified)
    seen = f"{signed}; {verified}"
    # A file that cannot be used is a finding of `_certificates`.
    with suppress(SettingsError):
        ours = Security.of(services.certificates("eindkomst"), chosen)
        try:
            ours.check()
        except SettingsError as error:
            return Finding(check, Verdict.FAIL, str(error), "until then no question is sent")
    if weak:
        advice = (
            "SHA-1 is the published policy, and weak: ask Skatteforvaltningen whether SHA-256 is accepted, and set "
            f"{' and '.join(variable('eindkomst', name) for name in weak)} then: see docs/going-live.md"
        )
        return Finding(check, Verdict.WARN, seen, advice)
    return Finding(check, Verdict.OK, seen)


async def _upstream(services: Services, name: str) -> Finding:
    settings = services.settings
    chosen = settings.upstream(name)
    check = f"upstream: {name}"
    if chosen.base_url is None:
        return Finding(check, Verdict.WARN, "its address is not set here", "workers of other queues do not need it")
    address = settings.base_url(name)
    until = closed_until(chosen.service_windows, datetime.now(UTC))
    if until is not None:
        return Finding(check, Verdict.OK, f"{address} is closed as planned until {until.astimezone(DENMARK):%H:%M}")
    try:
        await reach(address, services.certificates(name), CONNECT_SECONDS)
    except UpstreamError as error:
        advice = "is the address right, is there a way through the firewall, does the register say that it is closed?"
        if isinstance(error, NotAuthorised):
            advice = "is it the certificate that was agreed on, with its chain, and has it not expired?"
        return Finding(check, Verdict.FAIL, f"{address}: {error}", advice)
    except SettingsError:
        return Finding(check, Verdict.WARN, f"{address} is not tried", "see its certificate")
    return Finding(check, Verdict.OK, f"{address} is reached")


async def _token(services: Services, name: str) -> Finding | None:
    """Finding on the token endpoint, which is asked for a token; None where no call would ask it."""
    chosen = services.settings.upstream(name)
    if chosen.token_url is None or chosen.base_url is None or closed_until(chosen.service_windows, datetime.now(UTC)):
        return None
    check, address = f"token of {name}", without_credentials(str(chosen.token_url))
    try:
        await services.credentials(name).headers(CONNECT_SECONDS)
    except SettingsError as error:
        return Finding(check, Verdict.WARN, str(error), "see the settings and the certificate of this upstream")
    except UpstreamError as error:
        advice = f"is {variable(name, 'token_url')} right, and is there a way through the firewall?"
        if isinstance(error, NotAuthorised):
            advice = "are CLIENT_ID, CLIENT_SECRET, CLIENT_AUTH, SCOPE and the certificate those of the agreement?"
        return Finding(check, Verdict.FAIL, f"{address}: {error}", advice)
    return Finding(check, Verdict.OK, f"{address} issues one")


async def _workers(services: Services) -> AsyncIterator[Finding]:
    try:
        consumed = await queue_liveness.consumed(services.coordination, QUEUES)
    except REDIS_DOWN:
        yield Finding("workers", Verdict.FAIL, "cannot be known without the broker's Redis")
        return
    silent = [queue for queue, alive in consumed.items() if not alive]
    if len(silent) == len(QUEUES):
        seen = "no queue has shown a sign of life"
        yield Finding("workers", Verdict.FAIL, seen, "does beat run (celery -A workers.app beat), and any worker?")
        return
    for queue in silent:
        advice = f"start a worker: celery -A workers.app worker -Q {queue}; or look at what keeps it"
        yield Finding(f"workers of {queue}", Verdict.FAIL, "no task was carried out for a while", advice)
    if not silent:
        yield Finding("workers", Verdict.OK, f"all {len(QUEUES)} queues are consumed")


async def _answers(services: Services) -> AsyncIterator[Finding]:
    try:
        found = await partial_answers.status(services.coordination, REGISTERS)
    except REDIS_DOWN:
        yield Finding("answers", Verdict.WARN, "cannot be known without the broker's Redis")
        return
    partial = {name: one for name, one in found.items() if one is not None}
    for name, one in partial.items():
        since, last = (moment.astimezone(DENMARK) for moment in (one.since, one.last))
        seen = f"partial: {one.told} could not be read, since {since:%Y-%m-%d %H:%M}, last at {last:%Y-%m-%d %H:%M}"
        advice = (
            "the rest is shown; log lines `items_left_out` say where (docs/operations.md, RegisterbroRegisterPartial)"
        )
        yield Finding(f"answers of {name}", Verdict.WARN, seen, advice)
    if not partial:
        yield Finding("answers", Verdict.OK, "nothing was left out of a register's answer within the last hour")


async def _unknown_values(services: Services) -> AsyncIterator[Finding]:
    try:
        found = await unknown_values.status(services.coordination)
    except REDIS_DOWN:
        yield Finding("unknown values", Verdict.WARN, "cannot be known without the broker's Redis")
        return
    for source, one in found.items():
        seen = f"{one.told}, last at {one.last.astimezone(DENMARK):%Y-%m-%d %H:%M}"
        advice = "a contact group, benefit or income type goes into the rules file (docs/operations.md)"
        yield Finding(f"unknown values of {source}", Verdict.WARN, seen, advice)
    if not found:
        yield Finding("unknown values", Verdict.OK, "none were met within the last day")


async def _reports(services: Services) -> AsyncIterator[Finding]:
    box = services.outbox
    try:
        found, halted = await box.records(FOR_OPERATORS), await box.halted_until()
    except REDIS_DOWN:
        yield Finding("fault reports", Verdict.FAIL, "the ledger does not answer")
        return
    if halted is not None:
        advice = "renew BOOKING_VENDOR__TOKEN, then `registerbro reports replay` any report"
        yield Finding(
            "fault reports", Verdict.FAIL, f"sending is halted until {halted.astimezone(DENMARK):%H:%M}", advice
        )
    dead = [one for one in found if one.state in DEAD_LETTERS or one.needs_decision]
    if dead:
        yield Finding("fault reports", Verdict.WARN, f"{len(dead)} need a person", "see `registerbro reports list`")
    elif halted is None:
        yield Finding("fault reports", Verdict.OK, "none needs a person")


def _print(findings: list[Finding]) -> None:
    styles = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "bold red"}
    rows = [(Cell((one.verdict,), styles[one.verdict]), one.check, one.seen, one.advice) for one in findings]
    show(table(("", "what", "seen", "what to do"), rows))
