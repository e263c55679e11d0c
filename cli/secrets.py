"""`registerbro secrets FOLDER`: makes the secrets of an installation, as files that docker-compose.yml mounts.

Each service has a folder, with its own secrets and no others. A file that exists stays as it is. Each service has a
password of its own on each Redis server, so that a leaked password opens one server to one user.
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
from demo import tokens
from demo.installation import DEMO_CREDENTIALS, DEMO_TIMES
from registerbro.storage import acl
from registerbro.terminal import say

REDIS_VERSION = (7, 0)
"""The oldest Redis that docker-compose.yml is run with."""
PATHS = {"eindkomst": "/vericert/services/IndkomstOplysningPersonHentV2ServicePort"}
"""The path in an upstream's address; eIndkomst's is the one in its WSDL."""
DEMO = {
    **{
        f"{name.upper()}__BASE_URL": f"http://simulators:{port}{PATHS.get(name, '')}"
        for port, name in enumerate(UPSTREAMS, 8101)
    },
    **DEMO_CREDENTIALS,
    **DEMO_TIMES,
    **{f"{name}__RETRY_AFTER": "PT3S" for name in map(str.upper, REGISTERS)},
    **{f"{name}__FRESH_FOR": "PT20S" for name in map(str.upper, REGISTERS)},
}
"""The settings of the demo: simulators in place of the upstreams, their credentials, and short times."""
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
    # Other users of the machine cannot enter the folder; the containers' user reads the files that are mounted.
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
            # Every process gets the addresses of all three servers; where it has no user, it signs in as nobody.
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
        pem = _kept(folder / "portal" / "signing-key.pem", lambda: tokens.new_key().decode())
        _write(folder / "portal" / "jwks.json", json.dumps(tokens.jwks(pem.encode())))
    say(f"{folder}: made for {'the demo' if demo else 'an installation'}; Flower's password is in flower/password")
    if former:
        say(FORMER.format(folder=folder / "redis", count=len(former)))


FORMER = """\
{folder}: {count} passwords of the former form, each of which opens all three servers, are good beside the new ones.
Restart the Redis servers, then every service. Then remove the files there that are named after a service alone, make
the secrets once more, and restart the Redis servers."""


def service_file(service: str, server: str) -> str:
    """The name of the file with a service's password on a server."""
    return f"{service}@{server}"


def _former(folder: Path) -> dict[str, str]:
    """Passwords by service as earlier releases made them: one for all servers."""
    files = {service: folder / "redis" / service for service in acl.GRANTS}
    return {service: path.read_text(encoding="utf-8") for service, path in files.items() if path.exists()}


def copies(folder: Path, name: str) -> list[Path]:
    """The files of a secret that several services share; the first is the one that the others are copies of."""
    return [folder / name, *(folder / service / name for service in acl.GRANTS if service not in STRANGERS)]


def _settings(path: Path, settings: Mapping[str, str]) -> None:
    """Writes an env file, unless it exists: an operator may have changed it."""
    if not path.exists():
        lines = [f"REGISTERBRO_{name}={value}" for name, value in settings.items()]
        _write(path, "\n".join(["# See .env.example for every setting.", *lines, ""]), FOR_US)


def _password() -> str:
    return secrets.token_urlsafe(24)


def _key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


SHARED: Mapping[str, Callable[[], str]] = {"pepper": _password, "other_peppers": str, "sealing_keys": _key}
"""The secrets that services share, each with the function that makes it."""
STRANGERS = ("beat", "flower")
"""Services that get secrets of their own, because they must not be able to name or open data of a citizen."""


FOR_US, FOR_CONTAINERS = 0o600, 0o644
"""Modes of files within the folder: readable by the operator alone, or also by the containers' user."""


def _kept(path: Path, new: Callable[[], str], mode: int = FOR_CONTAINERS) -> str:
    """The content of the file, which `new` makes where there is none."""
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
    """Makes a folder that its owner alone can enter; an existing folder becomes one."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
