"""Security: signs questions and verifies answers with the certificates that the settings name, as they are now."""

from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from lxml.etree import _Element as Element

from config.settings import EindkomstSettings, SettingsError, variable
from registerbro.upstreams.certificate_files import Identity, Revoked, Trusted
from registerbro.upstreams.certificates import Certificates
from registerbro.upstreams.errors import NotAuthorised
from registerbro.upstreams.ws_security import signing, verification
from registerbro.upstreams.ws_security.vocabulary import FAMILIES

_SIGNING_CERT, _SIGNATURE = (variable("eindkomst", name) for name in ("signing_cert", "signature"))


@dataclass(frozen=True, slots=True)
class Security:
    """Certificates and algorithms to sign and to verify with, as they are now; without one of them, that is left out.

    SHA-1 is accepted only where the settings say so.
    """

    signs_with: Identity | None = None
    verifies_with: Trusted | None = None
    subject: str | None = None
    """Subject of the signer, of all that the authorities in `verifies_with` have issued certificates to."""
    algorithm: str = "sha256"
    """The family that is signed with."""
    signs_token: bool = True
    """Whether the BinarySecurityToken is signed too (ProtectTokens of WS-SecurityPolicy)."""
    accepts: frozenset[str] = frozenset({"sha256", "sha384", "sha512"})
    """The families that an answer may be signed with."""
    revoked: Revoked | None = None
    """Revocation lists of the authorities in `verifies_with`; none is asked when None."""

    @classmethod
    def of(cls, certificates: Certificates, settings: EindkomstSettings) -> "Security":
        """The security that the settings name, with the files as they are now."""
        signing, verifying = certificates.identities.get("signing_cert"), certificates.trusted.get("verify_with")
        return cls(
            signing.value if signing else None,
            verifying.value if verifying else None,
            settings.verify_subject,
            settings.signature,
            settings.sign_token,
            settings.verified,
            certificates.revocations("verify_crl_file"),
        )

    def check(self) -> None:
        """Raises SettingsError, which names both settings, when the key is of no kind to sign with as it is set."""
        if not self._has_the_right_key():
            raise SettingsError(_WRONG_KEY)

    def sign(self, envelope: Element, now: datetime) -> None:
        """Puts a Security header into `envelope`, unless there is nothing to sign with.

        Raises NotAuthorised when the key is of the wrong kind, which a file that was replaced meanwhile may hold: the
        register would refuse what it signs, and only an operator can help.
        """
        if not self._has_the_right_key():
            raise NotAuthorised(_WRONG_KEY)
        if self.signs_with:
            signing.sign(envelope, self.signs_with, FAMILIES[self.algorithm], now, with_token=self.signs_token)

    def verify(self, envelope: Element, now: datetime) -> None:
        """Raises InvalidResponse unless `envelope` is signed as it must be, or nothing is verified."""
        if self.verifies_with:
            verification.verify(
                envelope,
                self.verifies_with,
                now,
                subject=self.subject,
                accepts=self.accepts,
                revoked=self.revoked,
            )

    def _has_the_right_key(self) -> bool:
        is_rsa = self.signs_with is None or isinstance(self.signs_with.key, RSAPrivateKey)
        return is_rsa or FAMILIES[self.algorithm].ecdsa is not None


_WRONG_KEY = (
    f"{_SIGNING_CERT}: holds an EC key, and {_SIGNATURE} is sha1, for which the published policy knows RSA alone: "
    "use a certificate with an RSA key, or sha256 if the register takes it"
)
