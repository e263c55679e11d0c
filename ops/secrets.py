"""Makes what an installation keeps to itself, as files that docker-compose.yml mounts: `registerbro secrets FOLDER`.

One folder per service, with what that service needs and nothing else. What is there already stays as it is.
"""

import base64
import json
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from config.celery import REGISTERS
from config.settings import UPSTREAMS
from ops import acl
from ops.local import DEMO_CREDENTIALS
from ops.terminal import say
from portal.web import signing

REDIS_VERSION = (7, 0)
"""The oldest that docker-compose.yml is run with."""
PATHS = {"eindkomst": "/vericert/services/IndkomstOplysningPersonHentV2ServicePort"}
"""What of an upstream's path stands in its address; of eIndkomst it is all of it, as its WSDL has it."""
DEMO = {
    **{
        f"{name.upper()}__BASE_URL": f"http://simulators:{port}{PATHS.get(name, '')}"
        for port, name in enumerate(UPSTREAMS, 8101)
    },
    **DEMO_CREDENTIALS,
    **{f"{name}__RETRY_AFTER": "PT3S" for name in map(str.upper, REGISTERS)},
    **{f"{name}__FRESH_FOR": "PT20S" for name in map(str.upper, REGISTERS)},
}
"""The settings of the demo: simulators in place of the upstreams, which take these credentials, and short times."""
DEMO_PORTAL = {
    "JWKS_FILE": "/run/secrets/jwks.json",
    "JWT_ISSUER": "registerbro-demo",
    "JWT_AUDIENCE": "registerbro",
    "DEMO__SIGNING_KEY_FILE": "/run/secrets/signing-key.pem",
    "DEMO__CONTROL_URL": "http://simulators:8100",
}


def make(
    folder: Annotated[Path, typer.Argument(help="Where the files go.")] = Path("var/secrets"),
    demo: Annotated[bool, typer.Option("--demo", help="For the demo: simulators, and a log-in for everybody.")] = False,  # noqa: FBT002
) -> None:
    """Make passwords, keys and Redis users for docker-compose.yml; what exists is kept."""
    # Nobody else gets past the folder; the files themselves are read by the containers' own user.
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    passwords = {service: _kept(folder / "redis" / service, _password) for service in acl.GRANTS}
    for name, new in SHARED.items():
        shared = _kept(folder / name, new)
        for path in copies(folder, name)[1:]:
            _write(path, shared)
    for server in acl.SERVERS:
        _write(folder / server / "users.acl", acl.acl_file(server, passwords, REDIS_VERSION))
    flower = _kept(folder / "flower" / "password", _password)
    for service, grants in acl.GRANTS.items():
        for server in acl.SERVERS:
            # Every process is told where all three are; where it has no business, it comes as nobody.
            user = f"{service}:{passwords[service]}@" if server in grants else ""
            _write(folder / service / f"{server}_url", f"redis://{user}{server}:6379/0")
    for service in STRANGERS:
        for name, new in SHARED.items():
            _kept(folder / service / name, new)
    _settings(folder / "settings.env", DEMO if demo else {})
    _settings(folder / "portal.env", DEMO_PORTAL if demo else {})
    if demo:
        pem = _kept(folder / "portal" / "signing-key.pem", lambda: signing.new_key().decode())
        _write(folder / "portal" / "jwks.json", json.dumps(signing.jwks(pem.encode())))
    say(f"{folder}: made for {'the demo' if demo else 'an installation'}; Flower's password is {flower}")


def copies(folder: Path, name: str) -> list[Path]:
    """The files in which a secret stands that several services share; the first is what the others are made from."""
    return [folder / name, *(folder / service / name for service in acl.GRANTS if service not in STRANGERS)]


def _settings(path: Path, settings: Mapping[str, str]) -> None:
    """An env file; one that somebody has changed is kept."""
    if not path.exists():
        lines = [f"REGISTERBRO_{name}={value}" for name, value in settings.items()]
        _write(path, "\n".join(["# See .env.example for every setting.", *lines, ""]))


def _password() -> str:
    return secrets.token_urlsafe(24)


def _key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


SHARED: Mapping[str, Callable[[], str]] = {"pepper": _password, "other_peppers": str, "sealing_keys": _key}
"""What services share, and how it is made."""
STRANGERS = ("beat", "flower")
"""They neither name nor open anything of a citizen, and must not be able to: what they have is their own."""


def _kept(path: Path, new: Callable[[], str]) -> str:
    """What the file holds; made by `new` when there is none."""
    if not path.exists():
        _write(path, new())
    return path.read_text(encoding="utf-8")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o644)
