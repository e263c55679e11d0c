"""Tree of all settings: one field per environment variable, `REGISTERBRO_` + its name, nested with `__`.

The environment may name a file for a secret in place of its value: `REGISTERBRO_PEPPER_FILE=/run/secrets/pepper`.
`.env.example` lists all settings, from the descriptions here. The tree and the source that reads it are one module,
because each needs the other: the source looks for the tree's names, and the tree names its source.
"""

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, FilePath, PositiveInt, SecretStr, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from config.settings.types import (
    DELIMITER,
    MAY_BE_EMPTY,
    PREFIX,
    REDIS_SCHEMES,
    BaseUrl,
    BrokerUrl,
    Duration,
    Frozen,
    Names,
    OpenUrl,
    Pepper,
    Peppers,
    RedisUrl,
    SealingKeys,
    SettingsError,
    missing,
    secret_in,
    variable,
)
from config.settings.upstreams import (
    AdmissionSettings,
    BookingVendorSettings,
    BorgerindsatsSettings,
    CvrSettings,
    EindkomstSettings,
    JobsearchSettings,
    KontaktforloebSettings,
    RegisterSettings,
    SuSettings,
    UdbSettings,
    UpstreamSettings,
    VisiteringSettings,
    YdelseSettings,
)
from domain.hidden_characters import require_visible


class FlowerSettings(Frozen):
    """Flower: shows operators the workers, tasks and queues, and lets them change nothing."""

    user: str | None = Field(
        default=None,
        pattern="^[^:]+$",
        description="User of Flower, which does not start without a user and a password",
    )
    password: SecretStr | None = Field(default=None, min_length=1, description="Password of that user")
    host: str = Field(default="127.0.0.1", description="Address that Flower listens on")
    port: PositiveInt = Field(default=5555, le=65535, description="Port that Flower listens on")


class PortalSettings(Frozen):
    """Limits of one server process of the portal, for its clients and for each citizen."""

    head_timeout: Duration = Field(
        default=timedelta(seconds=10), description="Time limit for a client to send the head of a request"
    )
    body_timeout: Duration = Field(
        default=timedelta(seconds=10), description="Time limit for the client to send the body after that"
    )
    idle_timeout: Duration = Field(
        default=timedelta(seconds=5), description="Time a connection stays open between two requests"
    )
    send_timeout: Duration = Field(
        default=timedelta(seconds=30), description="Time a client may leave an answer unread"
    )
    max_connections: PositiveInt = Field(
        default=2000,
        description="Maximum open connections per process; fewer where it may open fewer files (ulimit -n)",
    )
    event_streams: PositiveInt = Field(
        default=500, description="Maximum event streams per process, and never more than a quarter of its connections"
    )
    event_streams_per_citizen: PositiveInt = Field(
        default=4, description="Maximum event streams per citizen in a process"
    )
    booking_calls_per_minute: PositiveInt = Field(
        default=30, description="Maximum calls of a citizen that reach the booking system per minute"
    )


class DemoSettings(Frozen):
    """Demo: a log-in that signs its own tokens. No installation sets these."""

    signing_key_file: FilePath | None = Field(
        default=None, description="PEM file with the P-256 key that signs the demo's tokens; only a demo has one"
    )
    control_url: BaseUrl | None = Field(
        default=None,
        description="Address of the simulators' control, which lists citizens and sets faults; only a demo has one",
    )

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.signing_key_file is None) != (self.control_url is None):
            raise ValueError("SIGNING_KEY_FILE and CONTROL_URL belong together")
        return self


class Settings(BaseSettings):
    """All settings of an installation: frozen, and the same in each of its processes."""

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
        description="Transport to a Redis broker: atomic loses no message when a worker dies, stock is kombu's own",
    )
    sentinel_master: str = Field(
        default="mymaster", description="Name of the Redis that Sentinel monitors, for a broker at sentinel://"
    )
    coordination_url: RedisUrl | None = Field(
        default=None, description="Redis with leases and schedule; unset, it is the broker, where that is a Redis"
    )
    ledger_url: RedisUrl = Field(description="Redis that loses nothing (appendfsync always)")
    cache_url: RedisUrl = Field(description="Redis with sealed entries; may be emptied")
    pepper: Pepper = Field(
        description="Secret from which citizen ids are derived; `registerbro keys rotate pepper` changes it"
    )
    other_peppers: Peppers = Field(
        default=(),
        description="Previous peppers, newest first, comma-separated; ids derived with them are still looked up",
    )
    sealing_keys: SealingKeys = Field(
        description="Keys that seal stored data, newest first, comma-separated; each 32 bytes in urlsafe base64"
    )
    citizens_kept_for: Duration = Field(
        default=timedelta(days=30), description="Time a citizen stays known after their last activity"
    )
    worker_concurrency: PositiveInt = Field(
        default=100,
        description="Maximum concurrent tasks per worker process; scheduled refreshes are limited to at most the same "
        "number, per register",
    )
    audit_dir: Path | None = Field(
        default=None,
        description="Folder of the audit log; required wherever registers are called or operators act",
    )
    operator: Annotated[str, AfterValidator(require_visible)] = Field(
        default="",
        max_length=500,
        description="Name of the operator who acts as a service's user; set in their own shell, never for a service",
    )
    audit_kept_for: Duration = Field(
        default=timedelta(days=183), description="Retention of the audit log's records, in whole days"
    )
    jwks_file: FilePath | None = Field(
        default=None,
        description="JSON Web Key Set of the issuer of citizens' tokens; the portal requires this or JWKS_URL",
    )
    jwks_url: OpenUrl | None = Field(
        default=None, description="Address that the key set is fetched from instead, with https"
    )
    jwks_kept_for: Duration = Field(
        default=timedelta(minutes=5), description="Time a key set is used before it is read again"
    )
    jwt_issuer: str | None = Field(default=None, description="The `iss` of citizens' tokens; required by the portal")
    jwt_audience: str | None = Field(default=None, description="The `aud` of citizens' tokens; required by the portal")
    refreshes_per_minute: PositiveInt = Field(
        default=10, description="Maximum refreshes that a citizen may request per minute"
    )
    rules_file: Path | None = Field(
        default=None,
        description="TOML file with the target group, contact groups, benefits and income types that replace the "
        "default ones; read anew when it changes (`registerbro rules`)",
    )
    metrics_port: PositiveInt | None = Field(
        default=None, le=65535, description="Port where workers, beat and Flower serve /metrics; none when unset"
    )
    metrics_host: str = Field(
        default="127.0.0.1", description="Address for METRICS_PORT: one that only the internal network reaches"
    )
    tracing_endpoint: OpenUrl | None = Field(
        default=None,
        description="Address that spans are sent to (OTLP over HTTP); requires the extra `tracing`; off when unset",
    )
    remote_control: Names = Field(
        default=(),
        description="Commands of Celery's remote control that workers obey beside those that read, comma-separated",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="Lowest severity of the log lines that are written"
    )

    udb: UdbSettings = UdbSettings()
    su: SuSettings = SuSettings()
    eindkomst: EindkomstSettings = EindkomstSettings()
    cvr: CvrSettings = CvrSettings()
    ydelse: YdelseSettings = YdelseSettings()
    visitering: VisiteringSettings = VisiteringSettings()
    kontaktforloeb: KontaktforloebSettings = KontaktforloebSettings()
    jobsearch: JobsearchSettings = JobsearchSettings()
    borgerindsats: BorgerindsatsSettings = BorgerindsatsSettings()
    booking_vendor: BookingVendorSettings = BookingVendorSettings()
    flower: FlowerSettings = FlowerSettings()
    portal: PortalSettings = PortalSettings()
    demo: DemoSettings = DemoSettings()

    @model_validator(mode="after")
    def _key_set_is_fetched_over_https(self) -> Self:
        # A machine that can answer in place of that server could sign tokens for every citizen.
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
        """URL of the Redis with leases and schedule."""
        return (self.coordination_url or self.broker_url).get_secret_value()

    def upstream(self, name: str) -> UpstreamSettings:
        """The settings of one upstream, by the name of its field. Raises KeyError when there is none."""
        settings = getattr(self, name, None)
        if not isinstance(settings, UpstreamSettings):
            raise KeyError(name)
        return settings

    def admission(self, name: str) -> AdmissionSettings:
        """The settings of an admission, by one name of ADMISSIONS. Raises KeyError when there is none."""
        return self.kontaktforloeb.booking_admission if name == BOOKING else self.upstream(name).admission

    def register(self, name: str) -> RegisterSettings:
        """The settings of one register, by name. Raises KeyError when there is none."""
        settings = self.upstream(name)
        if not isinstance(settings, RegisterSettings):
            raise KeyError(name)
        return settings

    def base_url(self, upstream: str) -> str:
        """Address of an upstream, as it was written. Raises SettingsError when it is not set."""
        url = self.upstream(upstream).base_url
        if url is None:
            raise missing(upstream, "base_url")
        # To a host without a path, pydantic adds a slash.
        return str(url).rstrip("/") if url.path == "/" else str(url)

    def current_secret(self, upstream: str, name: str) -> str | None:
        """A secret of an upstream as it is now: a file is read anew, because it may change with the key that it opens.

        Raises SettingsError when that file cannot be read.
        """
        path = os.environ.get(f"{variable(upstream, name)}_FILE")
        if path:
            return secret_in(path, variable(upstream, name))
        secret: SecretStr | None = getattr(self.upstream(upstream), name, None)
        return secret.get_secret_value() if secret else None

    def secret_file(self, name: str, upstream: str | None = None) -> Path | None:
        """The file of a secret at the tree's top, or of an upstream; None when the environment has its value.

        `name` is the name of its field.
        """
        path = os.environ.get(f"{variable(upstream, name) if upstream else PREFIX + name.upper()}_FILE")
        return Path(path) if path else None

    def require(self, upstream: str) -> None:
        """Raises SettingsError unless all that this upstream, and those that it also calls, require is set."""
        for name in (upstream, *self.upstream(upstream).also_calls):
            settings = self.upstream(name)
            for secret, field in type(settings).model_fields.items():
                if _is_secret(field):
                    self.current_secret(name, secret)
            for needed in settings.needs:
                if getattr(settings, needed) is None:
                    raise missing(name, needed)
            if settings.missing_for_token is not None:
                raise missing(name, settings.missing_for_token)

    def require_portal(self) -> None:
        """Raises SettingsError unless all that the check of citizens' tokens requires is set."""
        for name in ("jwt_issuer", "jwt_audience"):
            if getattr(self, name) is None:
                raise SettingsError(f"{PREFIX}{name.upper()}: is missing")
        if self.jwks_file is None and self.jwks_url is None:
            raise SettingsError(f"{PREFIX}JWKS_FILE: is missing, and so is {PREFIX}JWKS_URL")

    def flower_sign_in(self) -> str:
        """`user:password`, as Flower checks it. Raises SettingsError when either is missing."""
        for name in ("user", "password"):
            if getattr(self.flower, name) is None:
                raise missing("flower", name)
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
        """pydantic-settings' hook: the environment, and the files that it names, are the only sources."""
        del env_settings, dotenv_settings, file_secret_settings
        return init_settings, _EnvironmentAndFiles(settings_cls)


UPSTREAMS: tuple[str, ...] = tuple(
    name
    for name, field in Settings.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, UpstreamSettings)
)
"""Names of the upstreams: the fields of `Settings` that describe one."""

BOOKING = "booking"
"""The admission of bookings at Kontaktforloeb; the admission named as that upstream is that of its refreshes."""

ADMISSIONS: tuple[str, ...] = (*UPSTREAMS, BOOKING)
"""Names of the admissions, each with breaker, rate and limit of its own: one per upstream, and that of bookings."""


def upstream_of(admission: str) -> str:
    """Name of the upstream that the calls of an admission go to."""
    return "kontaktforloeb" if admission == BOOKING else admission


def register_model(name: str) -> type[RegisterSettings]:
    """The class of a register's settings, by name: what no installation changes. Raises KeyError when there is none."""
    model = Settings.model_fields[name].annotation
    if not isinstance(model, type) or not issubclass(model, RegisterSettings):
        raise KeyError(name)
    return model


class _EnvironmentAndFiles(EnvSettingsSource):
    """Source of settings: the environment's variables, and of each secret's `…_FILE` the content of that file."""

    def __init__(self, settings_cls: type[BaseSettings]) -> None:
        super().__init__(settings_cls)
        from_files = dict(self._from_files())
        known = {name.lower() for name, _, _ in leaves()}
        empty = {name.lower(): "" for name, _, field in leaves() if _may_be_empty(field) and os.environ.get(name) == ""}
        self.env_vars = {name: value for name, value in self.env_vars.items() if name in known} | from_files | empty

    def _from_files(self) -> Iterator[tuple[str, str]]:
        for name in secret_names():
            path = self.env_vars.get(f"{name}_FILE".lower())
            if path is None:
                continue
            if self.env_vars.get(name.lower()) is not None:
                raise SettingsError(f"{name}: is set twice, directly and as {name}_FILE")
            try:
                yield name.lower(), secret_in(path, name)
            except SettingsError:
                if not name.startswith(tuple(variable(upstream, "") for upstream in UPSTREAMS)):
                    raise


def leaves(model: type[BaseModel] = Settings, prefix: str = PREFIX) -> Iterator[tuple[str, str, Any]]:
    """Yields each setting as (environment variable, description, pydantic field), in the order of the tree."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from leaves(field.annotation, f"{prefix}{name.upper()}{DELIMITER}")
        else:
            yield prefix + name.upper(), field.description or "", field


def secret_names() -> tuple[str, ...]:
    """The environment variables that hold secrets; for each, `…_FILE` may name a file instead."""
    return tuple(name for name, _, field in leaves() if _is_secret(field))


def _may_be_empty(field: FieldInfo) -> bool:
    return MAY_BE_EMPTY in field.metadata


def _is_secret(field: FieldInfo) -> bool:
    return "Secret" in str(field.annotation)
