"""Makes what an installation keeps to itself, as files that docker-compose.yml mounts: `registerbro secrets FOLDER`.

One folder per service, with what that service needs and nothing else. What is there already stays as it is. Each
service has a password of its own on each Redis server, so that one which becomes known opens one server to one user.
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
    # Nobody else gets past the folder; below it, the containers' own user reads what they are given.
    _closed(folder)
    _closed(folder / "redis")
    former = _former(folder)
    for server in acl.SERVERS:
        passwords = {
            service: _kept(folder / "redis" / service_file(service, server), _password, FOR_US)
            for service, grants in acl.GRANTS.items()
            if server in grants
        }
        _write(folder / server / "users.acl", acl.acl_file(server, passwords, REDIS_VERSION, former))
        for service in acl.GRANTS:
            # Every process is told where all three are; where it has no business, it comes as nobody.
            user = f"{service}:{passwords[service]}@" if service in passwords else ""
            _write(folder / service / f"{server}_url", f"redis://{user}{server}:6379/0")
    for name, new in SHARED.items():
        shared = _kept(folder / name, new, FOR_US)
        for path in copies(folder, name)[1:]:
            _write(path, shared)
    _kept(folder / "flower" / "password", _password)
    for service in STRANGERS:
        for name, new in SHARED.items():
            _kept(folder / service / name, new)
    _settings(folder / "settings.env", DEMO if demo else {})
    _settings(folder / "portal.env", DEMO_PORTAL if demo else {})
    if demo:
        pem = _kept(folder / "portal" / "signing-key.pem", lambda: signing.new_key().decode())
        _write(folder / "portal" / "jwks.json", json.dumps(signing.jwks(pem.encode())))
    say(f"{folder}: made for {'the demo' if demo else 'an installation'}; Flower's password is in flower/password")
    if former:
        say(FORMER.format(folder=folder / "redis", count=len(former)))


FORMER = """\
{folder}: {count} passwords of the former form, each of which opens all three servers, are good beside the new ones.
Restart the Redis servers, then every service. Then remove the files there that are named after a service alone, make
the secrets once more, and restart the Redis servers."""


def service_file(service: str, server: str) -> str:
    """The name of the file that holds a service's password on a server."""
    return f"{service}@{server}"


def _former(folder: Path) -> dict[str, str]:
    """Passwords by service as releases before made them: one for all servers."""
    files = {service: folder / "redis" / service for service in acl.GRANTS}
    return {service: path.read_text(encoding="utf-8") for service, path in files.items() if path.exists()}


def copies(folder: Path, name: str) -> list[Path]:
    """The files in which a secret stands that several services share; the first is what the others are made from."""
    return [folder / name, *(folder / service / name for service in acl.GRANTS if service not in STRANGERS)]


def _settings(path: Path, settings: Mapping[str, str]) -> None:
    """An env file; one that somebody has changed is kept."""
    if not path.exists():
        lines = [f"REGISTERBRO_{name}={value}" for name, value in settings.items()]
        _write(path, "\n".join(["# See .env.example for every setting.", *lines, ""]), FOR_US)


def _password() -> str:
    return secrets.token_urlsafe(24)


def _key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


SHARED: Mapping[str, Callable[[], str]] = {"pepper": _password, "other_peppers": str, "sealing_keys": _key}
"""What services share, and how it is made."""
STRANGERS = ("beat", "flower")
"""They neither name nor open anything of a citizen, and must not be able to: what they have is their own."""


FOR_US, FOR_CONTAINERS = 0o600, 0o644
"""Who may read a file once they are past the folder: who made it; or the containers' user, who is another."""


def _kept(path: Path, new: Callable[[], str], mode: int = FOR_CONTAINERS) -> str:
    """What the file holds; made by `new` when there is none."""
    if not path.exists():
        _write(path, new(), mode)
    path.chmod(mode)
    return path.read_text(encoding="utf-8")


def _write(path: Path, text: str, mode: int = FOR_CONTAINERS) -> None:
    if not path.parent.exists():
        path.parent.mkdir(parents=True)
        path.parent.chmod(0o755)
    path.touch(mode=mode)
    path.chmod(mode)
    path.write_text(text, encoding="utf-8")


def _closed(folder: Path) -> None:
    """Makes a folder that is its owner's alone, also of one that is there already."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
