"""Settings of the upstreams: what each has in common, and what one register or vendor has beside that.

One module, because each class says what it has beside another one here.
"""

from datetime import date, timedelta
from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import ByteSize, Field, NonNegativeInt, PositiveFloat, PositiveInt, SecretStr, model_validator

from config.settings.types import (
    BaseUrl,
    BearerToken,
    Duration,
    FaultCodes,
    Frozen,
    Hashes,
    HeaderFields,
    Numbers,
    OpenUrl,
    PublicKey,
    Scope,
    ServiceWindows,
    Size,
    UrlPath,
    VisibleAscii,
)

_BELOW_BASE_URL = "Path that is appended to BASE_URL; empty appends nothing, not even a slash"


class AdmissionSettings(Frozen):
    """Admission of calls to an upstream: breaker, rate and concurrency; docs/breaker.md explains each setting."""

    window: Duration = Field(default=timedelta(seconds=30), description="Period over which the breaker counts calls")
    minimum_calls: PositiveInt = Field(
        default=10, description="Calls in the window below which no rate opens the breaker"
    )
    failure_rate: float = Field(default=0.5, gt=0, le=1, description="Share of failures at which the breaker opens")
    slow_call: Duration = Field(
        default=timedelta(seconds=3), description="Duration from which an answer counts as slow"
    )
    slow_call_rate: float = Field(
        default=0.8, gt=0, le=1, description="Share of slow answers at which the breaker opens"
    )
    consecutive_failures: PositiveInt = Field(
        default=5, description="Failures in a row at which the breaker opens, however few calls there are"
    )
    open_for: Duration = Field(
        default=timedelta(seconds=5), description="Time the breaker stays open at first; it doubles each time"
    )
    open_at_most: Duration = Field(default=timedelta(minutes=1), description="Longest time the breaker stays open")
    probes: PositiveInt = Field(
        default=2, description="Calls admitted while half-open, and successes that close the breaker"
    )
    max_in_flight: PositiveInt = Field(default=50, description="Maximum concurrent calls, over all processes")
    calls_per_second: PositiveFloat | None = Field(
        default=None, description="Maximum calls per second, over all processes"
    )
    recovery: Duration = Field(
        default=timedelta(minutes=1), description="Time in which both limits grow back from zero after a 429"
    )


class UpstreamSettings(Frozen):
    """Settings of every upstream. The defaults suit a register that answers within a second or two.

    All services of an installation have the same settings. A certificate's file is there only for the services that
    call the upstream, so a missing file is no error elsewhere.
    """

    also_calls: ClassVar[tuple[str, ...]] = ()
    """The upstreams that a fetch of this one calls beside it."""
    needs: ClassVar[tuple[str, ...]] = ("base_url",)
    """The settings without which a worker of the upstream's queue does not start."""
    needs_token: ClassVar[bool] = False
    """Whether it does not start without TOKEN or TOKEN_URL either."""
    identities: ClassVar[tuple[str, ...]] = ("client_cert",)
    """The settings that name a certificate of ours with its key; each has a passphrase beside it."""
    authorities: ClassVar[tuple[str, ...]] = ("ca_bundle",)
    """The settings that name trusted certificates of others."""
    revocations: ClassVar[tuple[str, ...]] = ("crl_file",)
    """The settings that name revocation lists of those certificates' authorities."""
    looks_up_citizens: ClassVar[bool] = True
    """Whether a call looks a citizen up, so that the audit log records it before it is made."""

    base_url: BaseUrl | None = Field(
        default=None, description="Address of the upstream; required by the workers of its queue"
    )
    path: UrlPath = Field(default="", description=_BELOW_BASE_URL)
    headers: HeaderFields | None = Field(
        default=None, description="Further headers of each call, as a JSON object of names and texts"
    )
    token: BearerToken | None = Field(
        default=None, description="Bearer token that each call shows; its file is read again when it changes"
    )
    token_url: OpenUrl | None = Field(
        default=None,
        description="Token endpoint of OAuth 2.0 (client credentials), whose tokens each call shows in place of TOKEN",
    )
    client_id: VisibleAscii | None = Field(default=None, description="Our id at TOKEN_URL")
    client_secret: BearerToken | None = Field(
        default=None, description="Our secret at TOKEN_URL; without one, CLIENT_CERT alone says who asks (RFC 8705)"
    )
    client_auth: Literal["client_secret_basic", "client_secret_post"] = Field(
        default="client_secret_basic",
        description="Place of CLIENT_ID and CLIENT_SECRET at TOKEN_URL: a header, or the body (client_secret_post)",
    )
    scope: Scope | None = Field(
        default=None, description="Scopes that are asked for at TOKEN_URL, with spaces between them"
    )
    attempt_timeout: Duration = Field(
        default=timedelta(seconds=4),
        description="Time limit of one HTTP call, connection and body included, and of one call of TOKEN_URL",
    )
    total_timeout: Duration = Field(
        default=timedelta(seconds=10), description="Time limit of one fetch, all attempts and waits included"
    )
    max_attempts: PositiveInt = Field(default=3, description="Maximum HTTP calls of one fetch")
    retry_after: Duration = Field(
        default=timedelta(seconds=30),
        description="Time a failure is remembered, as the page is told, when the upstream sends no Retry-After",
    )
    max_connections: PositiveInt = Field(default=50, description="Maximum open connections per process")
    max_body: Size = Field(
        default=ByteSize(2 * 1024**2),
        gt=0,
        description="Longest answer that is accepted, decompressed",
    )
    client_cert: Path | None = Field(
        default=None, description="PEM or PKCS#12 file with the client certificate (OCES3) and its key"
    )
    client_cert_passphrase: SecretStr | None = Field(default=None, description="Passphrase of the key in CLIENT_CERT")
    ca_bundle: Path | None = Field(
        default=None, description="PEM file with the trusted authorities, in place of the system's"
    )
    crl_file: Path | None = Field(
        default=None,
        description="PEM or DER file with the revocation list (CRL) of the authority of the upstream's certificate",
    )
    crl_expired: Literal["refuse", "accept"] = Field(
        default="refuse",
        description="Effect of an expired revocation list: refuse every connection, or accept as if there were no list",
    )

    service_windows: ServiceWindows = Field(
        default=(),
        validate_default=True,
        description="Planned closures, Danish time, as in `Mon-Fri 20:30-05:00; 2023-03-10 09:00/2023-03-10 13:00`",
    )
    admission: AdmissionSettings = AdmissionSettings()

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of certificates and of revocation lists that are named here."""
        names = (*self.identities, *self.authorities, *self.revocations)
        named: list[Path | None] = [getattr(self, name) for name in names]
        return tuple(path for path in named if path is not None)

    @property
    def missing_for_token(self) -> str | None:
        """The setting without which no call can be let in; None when all are there.

        Not a check of the tree: in a process that makes no call, the file of a secret may be absent.
        """
        if self.needs_token and self.token is None and self.token_url is None:
            return "token"
        if self.token_url is not None and self.client_secret is None and self.client_cert is None:
            return "client_secret"
        return None

    @model_validator(mode="after")
    def _one_token(self) -> Self:
        if self.token_url is None:
            for name in ("client_id", "client_secret", "scope"):
                if getattr(self, name) is not None:
                    raise ValueError(f"{name.upper()} is set, and TOKEN_URL, which it belongs to, is not")
            return self
        if self.token is not None:
            raise ValueError("TOKEN_URL is set, and so is TOKEN: one of them, please")
        if self.client_id is None:
            raise ValueError("CLIENT_ID is missing, which TOKEN_URL requires")
        # Over http, whoever listens would have our secret; the simulators alone are called so.
        if self.token_url.scheme != "https" and (self.base_url is None or self.base_url.scheme == "https"):
            raise ValueError("TOKEN_URL is not a URL that starts with https://, as BASE_URL does")
        return self

    @model_validator(mode="after")
    def _an_attempt_fits_into_the_total(self) -> Self:
        if self.attempt_timeout > self.total_timeout:
            raise ValueError("ATTEMPT_TIMEOUT is longer than TOTAL_TIMEOUT")
        return self


class RegisterSettings(UpstreamSettings):
    """Settings of a register: an upstream whose answers are cached."""

    for_everyone: ClassVar[bool] = False
    """Whether the register is fetched for every citizen who logs in, and not for R1's target group alone."""
    scheduled: ClassVar[bool] = True
    """Whether the schedule keeps the register fresh for active citizens; otherwise a read refreshes it."""
    subscribes: ClassVar[bool] = False
    """Whether a citizen is subscribed at the register before it has data of them."""

    fresh_for: Duration = Field(
        default=timedelta(hours=12), description="Age up to which an answer is shown without a refresh"
    )
    usable_for: Duration = Field(
        default=timedelta(hours=72), description="Age up to which an answer is shown while refreshes fail"
    )
    refresh_ahead: float = Field(
        default=0.25, gt=0, lt=1, description="Last part of FRESH_FOR, in which the schedule refreshes"
    )
    scheduled_per_second: PositiveFloat = Field(
        default=10, description="Maximum refreshes that the schedule begins per second, over all processes"
    )

    @model_validator(mode="after")
    def _fresh_is_usable(self) -> Self:
        if self.fresh_for > self.usable_for:
            raise ValueError("FRESH_FOR is longer than USABLE_FOR")
        return self

    @property
    def scheduled_at_once(self) -> int:
        """Maximum concurrent refreshes of the schedule: half of the calls, so that citizens' refreshes have room."""
        return max(1, self.admission.max_in_flight // 2)

    @property
    def pending_for(self) -> timedelta:
        """Longest time a section is `pending`: the fetch's total deadline, and five seconds for queue and storing."""
        return self.total_timeout + timedelta(seconds=5)


class UdbSettings(RegisterSettings):
    """Ungedatabasen. A citizen is subscribed there, and the events come later."""

    subscribes: ClassVar[bool] = True

    path: UrlPath = Field(
        default="/v1/UDBhaendelser", description="As for the other upstreams; of a citizen's events alone"
    )
    events_after: Duration = Field(
        default=timedelta(hours=24),
        description="Age of a citizen's subscription from which no events mean that there are none",
    )


class SuSettings(RegisterSettings):
    """SU."""

    path: UrlPath = Field(default="/v1/su-forloeb", description=_BELOW_BASE_URL)


class EindkomstSettings(RegisterSettings):
    """eIndkomst. The subscriber's codes and SE number come with the agreement with Skatteforvaltningen."""

    also_calls = ("cvr",)
    identities = ("client_cert", "signing_cert")
    authorities = ("ca_bundle", "verify_with")
    revocations = ("crl_file", "verify_crl_file")

    attempt_timeout: Duration = Field(
        default=timedelta(seconds=8), description="As for the other upstreams; this register is slower"
    )
    total_timeout: Duration = Field(
        default=timedelta(seconds=20),
        description="As for the other upstreams; it includes the look-up of employers' names",
    )
    max_body: Size = Field(
        default=ByteSize(16 * 1024**2),
        gt=0,
        description="As for the other upstreams; this register's answers are longer",
    )
    history_from: date = Field(default=date(2008, 1, 1), description="First month that a question covers")
    abonnent_type: NonNegativeInt = Field(default=1, description="AbonnentTypeKode")
    abonnement_type: NonNegativeInt = Field(default=1, description="AbonnementTypeKode")
    adgang_formaal: NonNegativeInt = Field(default=1, description="AdgangFormaalTypeKode")
    se_number: str = Field(
        default="00000000", pattern=r"^\d{8}$", description="The subscriber's VirksomhedSENummerIdentifikator"
    )
    medarbejder_identifikator: str | None = Field(
        default=None,
        min_length=1,
        description="Member of the subscriber's staff who asks (IndkomstOplysningAdgangMedarbejderIdentifikator)",
    )
    advis_means_none: Numbers = Field(
        default=frozenset(),
        description="Advis codes, comma-separated, that mean no data in an answer without a person",
    )
    signing_cert: Path | None = Field(
        default=None, description="PEM or PKCS#12 file with the certificate and key that sign questions (WS-Security)"
    )
    signing_cert_passphrase: SecretStr | None = Field(default=None, description="Passphrase of the key in SIGNING_CERT")
    signature: Literal["sha1", "sha256"] = Field(
        default="sha1",
        description="Hash function of the questions' signatures: sha1, as the published policy has it, or sha256",
    )
    sign_token: bool = Field(
        default=True, description="Whether the certificate in a question is signed too, as the published policy has it"
    )
    verify_with: Path | None = Field(
        default=None,
        description="PEM file with the certificates, or their authority's, that must have signed every answer",
    )
    verify_crl_file: Path | None = Field(
        default=None,
        description="PEM or DER file with the revocation list (CRL) of the authority in VERIFY_WITH; see CRL_EXPIRED",
    )
    verify_subject: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9.]+=.+$",
        description="With an authority in VERIFY_WITH: attribute of the signer's subject, as 2.5.4.97=NTRDK-12345678",
    )
    verify_algorithms: Hashes = Field(
        default=(),
        description="Hash functions that answers may be signed with, of sha1, sha256, sha384 and sha512, "
        "comma-separated; the one in SIGNATURE when unset",
    )

    @property
    def verified(self) -> frozenset[str]:
        """The accepted hash functions of the answers' signatures."""
        return frozenset(self.verify_algorithms or (self.signature,))


class YdelseSettings(RegisterSettings):
    """STARs Ydelsesregister."""

    path: UrlPath = Field(default="/v1/ydelse", description=_BELOW_BASE_URL)
    fresh_for: Duration = Field(
        default=timedelta(hours=6), description="Age up to which an answer is shown without a refresh"
    )
    usable_for: Duration = Field(
        default=timedelta(hours=48), description="Age up to which an answer is shown while refreshes fail"
    )


class DfdgSettings(RegisterSettings):
    """What DFDG's services have in common: they are asked about every citizen who logs in, when their page is read."""

    for_everyone = True
    scheduled = False

    fresh_for: Duration = Field(
        default=timedelta(minutes=15), description="Age up to which an answer is shown without a refresh"
    )
    usable_for: Duration = Field(
        default=timedelta(hours=24), description="Age up to which an answer is shown while refreshes fail"
    )


class VisiteringSettings(DfdgSettings):
    """DFDG's service of contact groups and absence."""

    path: UrlPath = Field(
        default="/v2/VisiteringOgStatusStatus", description="As for the other upstreams; of contact groups alone"
    )
    absences_path: UrlPath = Field(default="/v1/Fravaer/", description="The same for absence")
    history_kept_for: Duration = Field(
        default=timedelta(days=730),
        description="Time a citizen's former contact groups are kept after the last look: the service tells the "
        "current ones only",
    )


class KontaktforloebSettings(DfdgSettings):
    """DFDG's service of meetings, booking deadlines, and the booking of meetings."""

    path: UrlPath = Field(default="/v2/Indkaldelse", description="As for the other upstreams; of meetings alone")
    deadlines_path: UrlPath = Field(default="/v1/Borgerstatus", description="The same for booking deadlines")
    booking_path: UrlPath = Field(
        default="/v1/Selvbooking", description="The same for the booking of meetings, whose operations are below it"
    )
    booking_timeout: Duration = Field(
        default=timedelta(seconds=3),
        le=timedelta(seconds=3),
        description="Longest time a citizen who books a meeting waits, all calls included; PT3S at the most",
    )
    booking_admission: AdmissionSettings = AdmissionSettings()
    """Admission of bookings. ADMISSION is that of refreshes alone, so that neither stops the other."""


class JobsearchSettings(DfdgSettings):
    """DFDG's service of the job titles that a citizen looks for."""

    path: UrlPath = Field(default="/v2/Joboenske", description="As for the other upstreams; of current titles alone")
    history_path: UrlPath = Field(default="/v2/Joboenske/historik", description="The same for former titles")
    titles_file: Path | None = Field(
        default=None,
        description="CSV file with the labels of ESCO concepts that replace the default ones; ESCO's own file of "
        "occupations in Danish is one",
    )


class BorgerindsatsSettings(DfdgSettings):
    """DFDG's service of activities and the joblog."""

    path: UrlPath = Field(default="/v1/Aktivitet", description="As for the other upstreams; of activities alone")
    joblog_path: UrlPath = Field(default="/v1/Joblog", description="The same for the joblog")


class CvrSettings(UpstreamSettings):
    """The CVR register's search, for employers' names."""

    path: UrlPath = Field(default="/cvr-permanent/virksomhed/_search", description=_BELOW_BASE_URL)
    attempt_timeout: Duration = Field(default=timedelta(seconds=2), description="As for the registers")
    total_timeout: Duration = Field(default=timedelta(seconds=4), description="As for the registers")
    user: str | None = Field(default=None, description="User of the system-to-system access")
    password: SecretStr | None = Field(default=None, description="Password of that user")
    names_for: Duration = Field(default=timedelta(days=30), description="Time an employer's name is kept")

    @model_validator(mode="after")
    def _one_authorization(self) -> Self:
        for name in ("token", "token_url"):
            if self.user is not None and getattr(self, name) is not None:
                raise ValueError(f"{name.upper()} is set, and so is USER: one of them, please")
        return self


class BookingVendorSettings(UpstreamSettings):
    """The supplier of the meeting-booking system, which fault reports are forwarded to."""

    needs_token = True
    looks_up_citizens = False

    path: UrlPath = Field(
        default="/v1/BorgerBooking/Fejlmelding", description="As for the other upstreams; of fault reports alone"
    )

    max_attempts: PositiveInt = Field(
        default=1, le=1, description="One: a report that fails is sent again when it is due, and not before"
    )
    fault_codes: FaultCodes = Field(
        default="*=1",
        validate_default=True,
        description="Fejlkode of fault reports by page (with /), error code, both or neither; the first rule counts",
    )
    send_cpr: bool = Field(
        default=False, description="Whether a fault report is sent with its author's CPR number, in a header"
    )
    idempotent: bool = Field(
        default=False, description="Whether the vendor honours the header Idempotency-Key, so that repeats do no harm"
    )
    repeat_unknown: NonNegativeInt = Field(
        default=1,
        description="Maximum times a report of unknown outcome is sent again by itself, before an operator decides",
    )
    longest_wait: Duration = Field(
        default=timedelta(hours=3), description="Longest wait between two attempts; waits grow to it as 1, 3, 7, 15 … s"
    )
    give_up_after: Duration = Field(
        default=timedelta(days=7), description="Age at which a report is given up, and left to an operator"
    )
    halt_for: Duration = Field(
        default=timedelta(minutes=15), description="Time in which no report is sent after the vendor refused our token"
    )
    recovery_key: PublicKey | None = Field(
        default=None,
        description="Public key that fault reports are sealed for too; `registerbro reports recovery-key` makes it",
    )
