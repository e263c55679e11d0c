"""Settings of the reference portal."""

from dataclasses import dataclass, field
from pathlib import Path

from demo.reference_portal.session import Ended, EndedHere
from registerbro.storage.sealing.sealer import Sealer

PROJECT = Path(__file__).resolve().parent.parent.parent
DESIGN_SYSTEM = PROJECT / "node_modules" / "dkfds"


@dataclass(frozen=True, slots=True)
class WebSettings:
    """The portal exists in the demo only, where it signs its own tokens; the caller decides whether it is served.

    `signing_key_file` is a PEM file with a private key of EC P-256. `secure` is for a portal behind TLS.
    `design_system` is the folder of the npm package `dkfds`; without it the pages are plain, and work.
    `ended` is shared by all processes that serve the portal under one address; it is closed with the application.
    """

    api_url: str
    seal: Sealer
    signing_key_file: Path
    issuer: str
    audience: str
    control_url: str
    secure: bool
    design_system: Path = DESIGN_SYSTEM
    ended: Ended = field(default_factory=EndedHere)
