"""Every setting of registerbro, read once from the environment: `REGISTERBRO_` + name, nested with `__`.

A secret may be given as a file instead: `REGISTERBRO_PEPPER_FILE=/run/secrets/pepper`. `.env.example` lists them all.
"""

import base64
import binascii
import difflib
import os
import re
import sys
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, get_args
from urllib.parse import urlsplit, urlunsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    FilePath,
    HttpUrl,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SecretBytes,
    SecretStr,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from config import windows
from config.visible import require_visible

PREFIX = "REGISTERBRO_"
DELIMITER = "__"
REDIS_SCHEMES = frozenset({"redis", "rediss", "unix"})
BROKER_SCHEMES = frozenset({"redis", "rediss", "redis+socket", "sentinel", "amqp", "amqps"})
SEALING_KEY_BYTES = 32
PEPPER_CHARACTERS = 16
_PATH = re.compile(r"(/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?")
"""The characters of a path (RFC 3986, 3.3), with the slash it begins with; so neither a query nor a fragment."""
_CPR_LIKE = re.compile(r"(?<!\d)\d{6}-?\d{4}(?!\d)")
Hash = Literal["sha1", "sha256", "sha384", "sha512"]
"""A hash function with which a signature may be made."""


class SettingsError(Exception):
    """The settings cannot be used; the message has one line per setting, and never the value of a secret one."""


_ANY_DURATION = TypeAdapter(timedelta)
_ANY_BYTE_SIZE = TypeAdapter(ByteSize)


def _iso_duration(value: object) -> timedelta:
    try:
        if not isinstance(value, timedelta) and not str(value).startswith("P"):
            raise ValueError("pydantic also takes other forms, which would leave the unit open")
        duration = _ANY_DURATION.validate_python(value)
    except ValueError:
        raise ValueError("is not a duration (ISO 8601, such as PT2S or P30D)") from None
    if duration <= timedelta(0):
        raise ValueError("must be longer than nothing")
    return duration


def _url_with(schemes: frozenset[str]) -> AfterValidator:
    def check(url: SecretStr) -> SecretStr:
        scheme, separator, rest = url.get_secret_value().partition("://")
        if not separator or not rest or scheme not in schemes:
            raise ValueError(f"is not a URL that starts with one of {', '.join(sorted(s + '://' for s in schemes))}")
        if not all(_is_readable(part) for part in url.get_secret_value().split(";")):
            raise ValueError("its host and port cannot be read: within a password, write / as %2F, # as %23, @ as %40")
        return url

    return AfterValidator(check)


def _is_readable(url: str) -> bool:
    """Whether a URL has its password where clients look for it; one that misreads it repeats it in an error."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return "@" not in parts.path + parts.query + parts.fragment


def without_credentials(url: str) -> str:
    """Where a URL leads, without user, password and query; of several, separated by semicolons, each."""

    def bare(one: str) -> str:
        parts = urlsplit(one)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))

    return ";".join(map(bare, url.split(";")))


def _plain_base(url: HttpUrl) -> HttpUrl:
    if url.username or url.password or url.query or url.fragment:
        raise ValueError("must hold neither credentials nor a query")
    return url


def _open_url(url: HttpUrl) -> HttpUrl:
    if url.username or url.password:
        raise ValueError("must hold no credentials")
    return url


def _listed_names(value: object) -> object:
    return tuple(name.strip() for name in value.split(",") if name.strip()) if isinstance(value, str) else value


def _path(text: str) -> str:
    if not _PATH.fullmatch(text):
        raise ValueError("is not a path that starts with / and has no query")
    if _CPR_LIKE.search(text):
        raise ValueError("holds what looks like a CPR number, and goes into URLs")
    return text


def _byte_size(value: object) -> object:
    try:
        return _ANY_BYTE_SIZE.validate_python(value)
    except ValidationError:
        raise ValueError("is not a number of bytes (such as 2MiB or 500000)") from None


def _long_enough(pepper: SecretStr) -> SecretStr:
    if len(pepper.get_secret_value()) < PEPPER_CHARACTERS:
        raise ValueError(f"has fewer than {PEPPER_CHARACTERS} characters")
    return pepper


def _listed_peppers(value: object) -> object:
    return parse_peppers(value) if isinstance(value, str) else value


def parse_pepper(text: str) -> str:
    """A pepper. Raises ValueError, whose message holds nothing of it."""
    return _long_enough(SecretStr(text)).get_secret_value()


def parse_peppers(text: str) -> tuple[str, ...]:
    """The peppers in a comma-separated list. Raises ValueError, whose message holds nothing of them."""
    return tuple(parse_pepper(pepper.strip()) for pepper in text.split(",") if pepper.strip())


def _sealing_keys(value: object) -> object:
    return parse_sealing_keys(value) if isinstance(value, str) else value


def parse_sealing_keys(text: str) -> tuple[bytes, ...]:
    """The keys in a comma-separated list, 32 bytes each. Raises ValueError, whose message holds nothing of them."""
    keys = tuple(_sealing_key(key.strip()) for key in text.split(",") if key.strip())
    if not keys:
        raise ValueError("holds no key")
    return keys


def _sealing_key(text: str) -> bytes:
    try:
        key = base64.b64decode(text, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != SEALING_KEY_BYTES:
        raise ValueError(f"holds a key that is not {SEALING_KEY_BYTES} bytes in urlsafe base64") from None
    return key


def _public_key(text: str) -> str:
    _sealing_key(text)
    return text


def _numbers(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return frozenset(int(number) for number in value.split(",") if number.strip())
    except ValueError:
        raise ValueError("is not a comma-separated list of whole numbers") from None


def _hashes(value: object) -> object:
    return parse_hashes(value) if isinstance(value, str) else value


def parse_hashes(text: str) -> tuple[str, ...]:
    """The hash functions in a comma-separated list. Raises ValueError when it holds another, or none."""
    named = tuple(name.strip() for name in text.split(",") if name.strip())
    if not named or set(named) - set(get_args(Hash)):
        raise ValueError(f"is not a comma-separated list of {', '.join(get_args(Hash))}")
    return named


def _service_windows(value: object) -> object:
    return windows.parse(value) if isinstance(value, str) else value


ServiceWindows = tuple[windows.Weekly | windows.Once, ...]
Duration = Annotated[timedelta, BeforeValidator(_iso_duration)]
RedisUrl = Annotated[SecretStr, _url_with(REDIS_SCHEMES)]
OpenUrl = Annotated[HttpUrl, AfterValidator(_open_url)]
BrokerUrl = Annotated[SecretStr, _url_with(BROKER_SCHEMES)]
BaseUrl = Annotated[HttpUrl, AfterValidator(_plain_base)]
UrlPath = Annotated[str, AfterValidator(_path)]
Size = Annotated[ByteSize, BeforeValidator(_byte_size)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class AdmissionSettings(_Frozen):
    """When an upstream is spared; docs/breaker.md explains each."""

    window: Duration = Field(default=timedelta(seconds=30), description="How far back the breaker counts calls")
    minimum_calls: PositiveInt = Field(default=10, description="Calls in the window before their rates say anything")
    failure_rate: float = Field(default=0.5, gt=0, le=1, description="Share of failures at which the breaker opens")
    slow_call: Duration = Field(
        default=timedelta(seconds=3), description="How long an answer takes that counts as slow"
    )
    slow_call_rate: float = Field(default=0.8, gt=0, le=1, description="Share of slow calls at which it opens")
    consecutive_failures: PositiveInt = Field(
        default=5, description="Failures in a row at which it opens, however few calls there are"
    )
    open_for: Duration = Field(default=timedelta(seconds=5), description="How long it stays open; doubles each time")
    open_at_most: Duration = Field(default=timedelta(minutes=1), description="How long it stays open at the most")
    probes: PositiveInt = Field(
        default=2, description="Calls that are let through half-open, and answers that close it again"
    )
    max_in_flight: PositiveInt = Field(default=50, description="Calls under way at once, over all processes")
    calls_per_second: PositiveFloat | None = Field(default=None, description="Calls per second, over all processes")
    recovery: Duration = Field(
        default=timedelta(minutes=1), description="How long after a 429 both limits take to grow back from nothing"
    )


class UpstreamSettings(_Frozen):
    """What every upstream has. Defaults suit a register that answers within a second or two.

    All services of an installation have the same settings, but only those that call an upstream have its files: who
    does not call it need not find them.
    """

    also_calls: ClassVar[tuple[str, ...]] = ()
    """The other upstreams that a fetch of this one calls."""
    needs: ClassVar[tuple[str, ...]] = ("base_url",)
    """The settings without which a worker of its queue does not start."""
    identities: ClassVar[tuple[str, ...]] = ("client_cert",)
    """The settings that name a certificate of ours with its key; each has a passphrase beside it."""
    authorities: ClassVar[tuple[str, ...]] = ("ca_bundle",)
    """The settings that name certificates of others that we trust."""
    revocations: ClassVar[tuple[str, ...]] = ("crl_file",)
    """The settings that name revocation lists of their authorities."""
    looks_up_citizens: ClassVar[bool] = True
    """Whether a call is a look-up of a citizen, and so goes into the audit log before it is made."""

    base_url: BaseUrl | None = Field(
        default=None, description="Where the upstream is; needed by the workers of its queue"
    )
    attempt_timeout: Duration = Field(
        default=timedelta(seconds=4), description="How long one HTTP call may take, connection and body included"
    )
    total_timeout: Duration = Field(
        default=timedelta(seconds=10), description="How long a fetch may take with all its attempts and waits"
    )
    max_attempts: PositiveInt = Field(default=3, description="How often one fetch calls the upstream at the most")
    retry_after: Duration = Field(
        default=timedelta(seconds=30),
        description="How long a failure is remembered, and what the page is told, when the upstream names no time",
    )
    max_connections: PositiveInt = Field(default=50, description="Open connections per process")
    max_body: Size = Field(
        default=ByteSize(2 * 1024**2),
        gt=0,
        description="How long an answer may be, decompressed; longer ones are refused",
    )
    client_cert: Path | None = Field(
        default=None, description="PEM or PKCS#12 file with the client certificate (OCES3) and its key"
    )
    client_cert_passphrase: SecretStr | None = Field(default=None, description="What opens the key in CLIENT_CERT")
    ca_bundle: Path | None = Field(
        default=None, description="PEM file with the authorities to trust instead of the system's"
    )
    crl_file: Path | None = Field(
        default=None,
        description="PEM or DER file with the revocation list (CRL) of the authority of the upstream's certificate",
    )
    crl_expired: Literal["refuse", "accept"] = Field(
        default="refuse",
        description="What a revocation list whose time is over means: no connection, or one as if there were no list",
    )

    service_windows: Annotated[ServiceWindows, BeforeValidator(_service_windows), NoDecode] = Field(
        default=(),
        validate_default=True,
        description="Planned closures, Danish time, as in `Mon-Fri 20:30-05:00; 2023-03-10 09:00/2023-03-10 13:00`",
    )
    admission: AdmissionSettings = AdmissionSettings()

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of certificates, and of what was revoked, that are named here."""
        names = (*self.identities, *self.authorities, *self.revocations)
        named: list[Path | None] = [getattr(self, name) for name in names]
        return tuple(path for path in named if path is not None)

    @model_validator(mode="after")
    def _an_attempt_fits_into_the_total(self) -> Self:
        if self.attempt_timeout > self.total_timeout:
            raise ValueError("ATTEMPT_TIMEOUT is longer than TOTAL_TIMEOUT")
        return self


class RegisterSettings(UpstreamSettings):
    """An upstream whose answers are kept in the cache."""

    for_everyone: ClassVar[bool] = False
    """Whether it is fetched for every citizen who logs in, and not for R1's target group alone."""
    scheduled: ClassVar[bool] = True
    """Whether the schedule keeps it fresh for who was active; if not, it is refreshed when it is read."""

    fresh_for: Duration = Field(
        default=timedelta(hours=12), description="How long an answer is shown without asking again"
    )
    usable_for: Duration = Field(
        default=timedelta(hours=72), description="How long an answer may be shown while asking again fails"
    )
    refresh_ahead: float = Field(
        default=0.25, gt=0, lt=1, description="The last part of FRESH_FOR, in which the schedule refreshes"
    )
    scheduled_per_second: PositiveFloat = Field(
        default=10, description="How many refreshes the schedule begins per second, over all processes"
    )

    @model_validator(mode="after")
    def _fresh_is_usable(self) -> Self:
        if self.fresh_for > self.usable_for:
            raise ValueError("FRESH_FOR is longer than USABLE_FOR")
        return self

    @property
    def scheduled_at_once(self) -> int:
        """How many of the schedule's refreshes may run at a time: half, so that there is always room for citizens."""
        return max(1, self.admission.max_in_flight // 2)

    @property
    def pending_for(self) -> timedelta:
        """How long a section may be `pending`: the fetch's total deadline, and five seconds for queue and storing."""
        return self.total_timeout + timedelta(seconds=5)


class UdbSettings(RegisterSettings):
    """Ungedatabasen."""


class SuSettings(RegisterSettings):
    """SU."""


class EindkomstSettings(RegisterSettings):
    """eIndkomst. The subscriber's codes and SE number come with the agreement with Skatteforvaltningen."""

    also_calls = ("cvr",)
    identities = ("client_cert", "signing_cert")
    authorities = ("ca_bundle", "verify_with")
    revocations = ("crl_file", "verify_crl_file")

    attempt_timeout: Duration = Field(
        default=timedelta(seconds=8), description="As for the others; this register is slower"
    )
    total_timeout: Duration = Field(
        default=timedelta(seconds=20), description="As for the others; it includes the look-up of employers' names"
    )
    path: UrlPath = Field(
        default="", description="What follows BASE_URL; nothing is added when empty, not even a slash"
    )
    max_body: Size = Field(
        default=ByteSize(16 * 1024**2), gt=0, description="As for the others; this register's answers are longer"
    )
    history_from: date = Field(default=date(2008, 1, 1), description="The first month that is asked for")
    abonnent_type: NonNegativeInt = Field(default=1, description="AbonnentTypeKode")
    abonnement_type: NonNegativeInt = Field(default=1, description="AbonnementTypeKode")
    adgang_formaal: NonNegativeInt = Field(default=1, description="AdgangFormaalTypeKode")
    se_number: str = Field(
        default="00000000", pattern=r"^\d{8}$", description="The subscriber's VirksomhedSENummerIdentifikator"
    )
    medarbejder_identifikator: str | None = Field(
        default=None,
        min_length=1,
        description="Who of the subscriber's staff asks (IndkomstOplysningAdgangMedarbejderIdentifikator)",
    )
    advis_means_none: Annotated[frozenset[int], NoDecode, BeforeValidator(_numbers)] = Field(
        default=frozenset(),
        description="Codes of advis, comma-separated, that mean no data when no person comes with them",
    )
    signing_cert: Path | None = Field(
        default=None, description="PEM or PKCS#12 file with the certificate and key that sign questions (WS-Security)"
    )
    signing_cert_passphrase: SecretStr | None = Field(default=None, description="What opens the key in SIGNING_CERT")
    signature: Literal["sha1", "sha256"] = Field(
        default="sha1",
        description="With which hash function questions are signed: sha1, as the published policy has it, or sha256",
    )
    sign_token: bool = Field(
        default=True, description="Whether the certificate in a question is signed too, as the published policy has it"
    )
    verify_with: Path | None = Field(
        default=None,
        description="PEM file with the certificates, or their authority's, whose signature every answer must have",
    )
    verify_crl_file: Path | None = Field(
        default=None,
        description="PEM or DER file with the revocation list (CRL) of the authority in VERIFY_WITH; see CRL_EXPIRED",
    )
    verify_subject: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9.]+=.+$",
        description="With an authority in VERIFY_WITH: what the signer's subject must name, as 2.5.4.97=NTRDK-12345678",
    )
    verify_algorithms: Annotated[tuple[Hash, ...], BeforeValidator(_hashes), NoDecode] = Field(
        default=(),
        description="The hash functions that answers may be signed with, of sha1, sha256, sha384 and sha512, "
        "comma-separated; the one in SIGNATURE when unset",
    )

    @property
    def verified(self) -> frozenset[str]:
        """The hash functions that answers may be signed with."""
        return frozenset(self.verify_algorithms or (self.signature,))


class YdelseSettings(RegisterSettings):
    """STARs Ydelsesregister."""

    fresh_for: Duration = Field(
        default=timedelta(hours=6), description="How long an answer is shown without asking again"
    )
    usable_for: Duration = Field(
        default=timedelta(hours=48), description="How long an answer may be shown while asking again fails"
    )


class DfdgSettings(RegisterSettings):
    """DFDG itself: calendar, booking deadlines, job titles and contact groups, of every citizen who logs in."""

    for_everyone = True
    scheduled = False

    fresh_for: Duration = Field(
        default=timedelta(minutes=15), description="How long an answer is shown without asking again"
    )
    usable_for: Duration = Field(
        default=timedelta(hours=24), description="How long an answer may be shown while asking again fails"
    )


class CvrSettings(UpstreamSettings):
    """The CVR register's search, for employers' names."""

    attempt_timeout: Duration = Field(default=timedelta(seconds=2), description="As for the registers")
    total_timeout: Duration = Field(default=timedelta(seconds=4), description="As for the registers")
    user: str | None = Field(default=None, description="The user of the system-to-system access")
    password: SecretStr | None = Field(default=None, description="Its password")
    names_for: Duration = Field(default=timedelta(days=30), description="How long an employer's name is kept")


class BookingVendorSettings(UpstreamSettings):
    """The supplier of the meeting-booking system, to whom fault reports are forwarded."""

    needs = ("base_url", "token")
    looks_up_citizens = False

    max_attempts: PositiveInt = Field(
        default=1, le=1, description="One: a report that fails is sent again when it is due, and not before"
    )
    token: SecretStr | None = Field(default=None, description="The bearer token; needed by the workers of its queue")
    longest_wait: Duration = Field(
        default=timedelta(hours=3), description="The longest wait between two attempts (1, 3, 7, 15 … s before it)"
    )
    give_up_after: Duration = Field(
        default=timedelta(days=7), description="How long a report is tried before it is left to an operator"
    )
    halt_for: Duration = Field(
        default=timedelta(minutes=15), description="How long nothing is sent after the vendor refused our token"
    )
    recovery_key: Annotated[str, AfterValidator(_public_key)] | None = Field(
        default=None,
        description="Public key that fault reports are sealed for too; `registerbro reports recovery-key` makes it",
    )
    booking_timeout: Duration = Field(
        default=timedelta(seconds=3),
        le=timedelta(seconds=3),
        description="How long a citizen who books a meeting waits for the vendor, and never longer than PT3S",
    )
    booking_admission: AdmissionSettings = AdmissionSettings()
    """As ADMISSION, which is for fault reports alone: neither keeps the other away."""


class FlowerSettings(_Frozen):
    """Flower, where operators see workers, tasks and queues; they can change nothing there."""

    user: str | None = Field(
        default=None, pattern="^[^:]+$", description="Who may look; Flower does not start without a user and a password"
    )
    password: SecretStr | None = Field(default=None, min_length=1, description="Their password")
    host: str = Field(default="127.0.0.1", description="The address that Flower listens on")
    port: PositiveInt = Field(default=5555, le=65535, description="The port that it listens on")


class PortalSettings(_Frozen):
    """What one server process of the portal grants its clients, and each citizen."""

    head_timeout: Duration = Field(
        default=timedelta(seconds=10), description="How long a client may take to send the head of a request"
    )
    body_timeout: Duration = Field(
        default=timedelta(seconds=10), description="How long it may take to send the body after that"
    )
    idle_timeout: Duration = Field(
        default=timedelta(seconds=5), description="How long a connection stays open between two requests"
    )
    send_timeout: Duration = Field(
        default=timedelta(seconds=30), description="How long a client may leave an answer unread"
    )
    max_connections: PositiveInt = Field(
        default=2000,
        description="Open connections per process; fewer when it may not open so many files (ulimit -n)",
    )
    event_streams: PositiveInt = Field(
        default=500, description="Event streams per process, and never more than a quarter of its connections"
    )
    event_streams_per_citizen: PositiveInt = Field(default=4, description="Of these, how many are one citizen's")
    booking_calls_per_minute: PositiveInt = Field(
        default=30, description="How often a citizen's calls may reach the booking system within a minute"
    )


class DemoSettings(_Frozen):
    """What turns a portal into the demo's: a log-in that signs its own tokens. No installation has these."""

    signing_key_file: FilePath | None = Field(
        default=None, description="PEM file with the P-256 key that signs the demo's tokens; only a demo has one"
    )
    control_url: BaseUrl | None = Field(
        default=None, description="Where the simulators are told to fail, and list their citizens; only a demo has one"
    )

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.signing_key_file is None) != (self.control_url is None):
            raise ValueError("SIGNING_KEY_FILE and CONTROL_URL belong together")
        return self


class Settings(BaseSettings):
    """The whole tree; frozen, and the same in every process of an installation."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter=DELIMITER,
        env_ignore_empty=True,
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,
    )

    broker_url: BrokerUrl = Field(description="Celery's broker")
    broker_transport: Literal["atomic", "stock"] = Field(
        default="atomic",
        description="How a Redis broker is spoken to: atomic loses nothing when a worker dies, stock is kombu's own",
    )
    sentinel_master: str = Field(
        default="mymaster", description="The name of the Redis that Sentinel looks after, for a broker at sentinel://"
    )
    coordination_url: RedisUrl | None = Field(
        default=None, description="Redis with leases and schedule; the broker when that is a Redis"
    )
    ledger_url: RedisUrl = Field(description="Redis that loses nothing (appendfsync always)")
    cache_url: RedisUrl = Field(description="Redis with sealed entries; may be emptied")
    pepper: Annotated[SecretStr, AfterValidator(_long_enough)] = Field(
        description="Secret that makes citizen ids; `registerbro keys rotate pepper` changes it"
    )
    other_peppers: Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_listed_peppers)] = Field(
        default=(),
        description="Further peppers by whose ids citizens are found, comma-separated, newest first: those of before",
    )
    sealing_keys: Annotated[tuple[SecretBytes, ...], NoDecode, BeforeValidator(_sealing_keys)] = Field(
        description="Keys that seal what is kept, comma-separated, newest first; each 32 bytes in urlsafe base64"
    )
    citizens_kept_for: Duration = Field(
        default=timedelta(days=30), description="How long after the last activity a citizen is known"
    )
    worker_concurrency: PositiveInt = Field(
        default=100,
        description="Tasks under way at once per worker process, and of the schedule's refreshes no more beside them",
    )
    audit_dir: Path | None = Field(
        default=None,
        description="Folder of the audit log; needed wherever registers are asked and operators act",
    )
    operator: Annotated[str, AfterValidator(require_visible)] = Field(
        default="",
        max_length=500,
        description="Who gives commands as a service's user; operators set it in their own shell, never for a service",
    )
    audit_kept_for: Duration = Field(
        default=timedelta(days=183), description="How long records of the audit log are kept, in whole days"
    )
    jwks_file: FilePath | None = Field(
        default=None, description="JSON Web Key Set of who signs citizens' tokens; the portal needs this or JWKS_URL"
    )
    jwks_url: OpenUrl | None = Field(default=None, description="Where that key set is fetched from instead, with https")
    jwks_kept_for: Duration = Field(
        default=timedelta(minutes=5), description="How long a key set is used before it is read again"
    )
    jwt_issuer: str | None = Field(default=None, description="The `iss` of citizens' tokens; the portal needs it")
    jwt_audience: str | None = Field(default=None, description="The `aud` of citizens' tokens; the portal needs it")
    refreshes_per_minute: PositiveInt = Field(
        default=10, description="How often a citizen may ask for a refresh within a minute"
    )
    metrics_port: PositiveInt | None = Field(
        default=None, le=65535, description="Where workers, beat and Flower serve /metrics; not at all when unset"
    )
    metrics_host: str = Field(
        default="127.0.0.1", description="The address for that: one that only the internal network reaches"
    )
    tracing_endpoint: OpenUrl | None = Field(
        default=None,
        description="Where spans are sent (OTLP over HTTP); needs the extra `tracing`, and is off when unset",
    )
    remote_control: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed_names)] = Field(
        default=(),
        description="Commands of Celery's remote control that workers obey beside those that only ask, comma-separated",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="The least severe log line that is written"
    )

    udb: UdbSettings = UdbSettings()
    su: SuSettings = SuSettings()
    eindkomst: EindkomstSettings = EindkomstSettings()
    cvr: CvrSettings = CvrSettings()
    ydelse: YdelseSettings = YdelseSettings()
    dfdg: DfdgSettings = DfdgSettings()
    booking_vendor: BookingVendorSettings = BookingVendorSettings()
    flower: FlowerSettings = FlowerSettings()
    portal: PortalSettings = PortalSettings()
    demo: DemoSettings = DemoSettings()

    @model_validator(mode="after")
    def _keys_come_from_who_signs(self) -> Self:
        # Whoever can answer in place of that server makes tokens for every citizen.
        if self.jwks_url and self.jwks_url.scheme != "https" and self.demo.signing_key_file is None:
            raise ValueError("JWKS_URL is not a URL that starts with https://, which only the demo may have")
        return self

    @model_validator(mode="after")
    def _one_key_set(self) -> Self:
        if self.jwks_file and self.jwks_url:
            raise ValueError("JWKS_URL is set, and so is JWKS_FILE: one of them, please")
        return self

    @model_validator(mode="after")
    def _coordination_is_somewhere(self) -> Self:
        broker_scheme = self.broker_url.get_secret_value().partition("://")[0]
        if self.coordination_url is None and broker_scheme not in REDIS_SCHEMES:
            raise ValueError("COORDINATION_URL is missing, and the broker is no plain Redis that could serve instead")
        return self

    @property
    def coordination(self) -> str:
        """The URL of the Redis for leases and schedule."""
        return (self.coordination_url or self.broker_url).get_secret_value()

    def upstream(self, name: str) -> UpstreamSettings:
        """The settings of one upstream, by the name of its field. Raises KeyError when there is none."""
        settings = getattr(self, name, None)
        if not isinstance(settings, UpstreamSettings):
            raise KeyError(name)
        return settings

    def admission(self, name: str) -> AdmissionSettings:
        """When the calls of this name are admitted, one of ADMISSIONS. Raises KeyError when there are none."""
        return self.booking_vendor.booking_admission if name == BOOKING else self.upstream(name).admission

    def register(self, name: str) -> RegisterSettings:
        """The settings of one register, by name. Raises KeyError when there is none."""
        settings = self.upstream(name)
        if not isinstance(settings, RegisterSettings):
            raise KeyError(name)
        return settings

    def base_url(self, upstream: str) -> str:
        """Where an upstream is, as it was written. Raises SettingsError when that was not set."""
        url = self.upstream(upstream).base_url
        if url is None:
            raise _missing(upstream, "base_url")
        # Of a host alone, the slash is pydantic's.
        return str(url).rstrip("/") if url.path == "/" else str(url)

    def current_secret(self, upstream: str, name: str) -> str | None:
        """A secret of an upstream as it is now: read anew when it is a file, which may change with what it opens.

        Raises SettingsError when that file cannot be read.
        """
        path = os.environ.get(f"{variable(upstream, name)}_FILE")
        if path:
            return _secret_in(path, variable(upstream, name))
        secret: SecretStr | None = getattr(self.upstream(upstream), name, None)
        return secret.get_secret_value() if secret else None

    def secret_file(self, name: str) -> Path | None:
        """The file that holds a secret of the tree's top, by the name of its field; None when it is given directly."""
        path = os.environ.get(f"{PREFIX}{name.upper()}_FILE")
        return Path(path) if path else None

    def require(self, upstream: str) -> None:
        """Raises SettingsError unless everything is set that this upstream, and those that it also calls, need."""
        for name in (upstream, *self.upstream(upstream).also_calls):
            settings = self.upstream(name)
            for secret, field in type(settings).model_fields.items():
                if _is_secret(field):
                    self.current_secret(name, secret)
            for needed in settings.needs:
                if getattr(settings, needed) is None:
                    raise _missing(name, needed)

    def require_portal(self) -> None:
        """Raises SettingsError unless everything is set that checking citizens' tokens needs."""
        for name in ("jwt_issuer", "jwt_audience"):
            if getattr(self, name) is None:
                raise SettingsError(f"{PREFIX}{name.upper()}: is missing")
        if self.jwks_file is None and self.jwks_url is None:
            raise SettingsError(f"{PREFIX}JWKS_FILE: is missing, and so is {PREFIX}JWKS_URL")

    def flower_sign_in(self) -> str:
        """`user:password`, as Flower checks it. Raises SettingsError when either is missing."""
        for name in ("user", "password"):
            if getattr(self.flower, name) is None:
                raise _missing("flower", name)
        return f"{self.flower.user}:{self.flower.password.get_secret_value() if self.flower.password else ''}"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment and the files that it names are the only sources."""
        del env_settings, dotenv_settings, file_secret_settings
        return init_settings, _EnvironmentAndFiles(settings_cls)


UPSTREAMS: tuple[str, ...] = tuple(
    name
    for name, field in Settings.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, UpstreamSettings)
)
"""The names of the upstreams: the fields of the settings that describe one."""

BOOKING = "booking"
"""The admission of citizens who book a meeting at the booking vendor; its own name is that of fault reports."""

ADMISSIONS: tuple[str, ...] = (*UPSTREAMS, BOOKING)
"""What has a breaker, a rate and a limit of calls: every upstream, and booking beside the fault reports."""


def upstream_of(admission: str) -> str:
    """The upstream that the calls of an admission go to, by name."""
    return "booking_vendor" if admission == BOOKING else admission


def variable(upstream: str, name: str) -> str:
    """The environment variable of an upstream's setting."""
    return f"{PREFIX}{upstream.upper()}{DELIMITER}{name.upper()}"


def register_model(name: str) -> type[RegisterSettings]:
    """What is the same for a register in every installation, by name. Raises KeyError when there is none."""
    model = Settings.model_fields[name].annotation
    if not isinstance(model, type) or not issubclass(model, RegisterSettings):
        raise KeyError(name)
    return model


def _missing(upstream: str, name: str) -> SettingsError:
    return SettingsError(f"{variable(upstream, name)}: is missing")


def _secret_in(path: str, name: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
    raise SettingsError(f"{name}_FILE: cannot be read: {reason}")


class _EnvironmentAndFiles(EnvSettingsSource):
    """The variables that name a setting, with each `…_FILE` of a secret replaced by what that file holds."""

    def __init__(self, settings_cls: type[BaseSettings]) -> None:
        super().__init__(settings_cls)
        from_files = dict(self._from_files())
        known = {name.lower() for name, _, _ in leaves()}
        self.env_vars = {name: value for name, value in self.env_vars.items() if name in known} | from_files

    def _from_files(self) -> Iterator[tuple[str, str]]:
        for name in secret_names():
            path = self.env_vars.get(f"{name}_FILE".lower())
            if path is None:
                continue
            if self.env_vars.get(name.lower()) is not None:
                raise SettingsError(f"{name}: is set twice, directly and as {name}_FILE")
            try:
                yield name.lower(), _secret_in(path, name)
            except SettingsError:
                if not name.startswith(tuple(variable(upstream, "") for upstream in UPSTREAMS)):
                    raise


def leaves(model: type[BaseModel] = Settings, prefix: str = PREFIX) -> Iterator[tuple[str, str, Any]]:
    """Each setting as (environment variable, description, pydantic field), in the order of the tree."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from leaves(field.annotation, f"{prefix}{name.upper()}{DELIMITER}")
        else:
            yield prefix + name.upper(), field.description or "", field


def secret_names() -> tuple[str, ...]:
    """The environment variables that hold secrets, each of which may be a file instead."""
    return tuple(name for name, _, field in leaves() if _is_secret(field))


def _is_secret(field: FieldInfo) -> bool:
    return "Secret" in str(field.annotation)


def unknown_names(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The variables that start as ours but name no setting, each with the setting that was perhaps meant."""
    known = [name for name, _, _ in leaves()] + [f"{name}_FILE" for name in secret_names()]
    strangers = sorted(name for name in environment if name.startswith(PREFIX) and name not in known)
    return tuple(
        name + "".join(f" (did you mean {near}?)" for near in difflib.get_close_matches(name, known, n=1))
        for name in strangers
    )


def load() -> Settings:
    """Reads the settings from the environment. Raises SettingsError with one line per setting that is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError("\n".join(_lines(error))) from None


def _lines(error: ValidationError) -> Iterator[str]:
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        path = [str(part) for part in problem["loc"] if not isinstance(part, int)]
        name = PREFIX + DELIMITER.join(path).upper()
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "missing":
            message = "is missing"
        if problem["type"] == "value_error" and message.split(" ", 1)[0].isupper():
            # A check over several settings names the one at fault as the first word of its message.
            at_fault, _, message = message.partition(" ")
            name += DELIMITER + at_fault if path else at_fault
        yield f"{name}: {message}"


@cache
def settings() -> Settings:
    """The settings of this process; the first call stops the process with one clear line if they cannot be used."""
    try:
        return load()
    except SettingsError as error:
        sys.exit("\n".join(f"registerbro: {line}" for line in str(error).splitlines()))


def environment_problems() -> tuple[str, ...]:
    """What is odd about this process's environment and yet no error: variables that name no setting."""
    return unknown_names(os.environ)
