"""`registerbro keys`: rotates the sealing key and the pepper while everything runs, and shows what each is used for."""

import base64
import os
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.process import fail
from cli.secrets import copies
from cli.session import AsJson, By, Operator, Reason, auditable, open_settings, operator, with_services
from config.settings import PREFIX, SEALING_KEY_BYTES, parse_pepper, parse_peppers, parse_sealing_keys
from registerbro.audit_log import Action
from registerbro.services import Services
from registerbro.storage.sealing.keyring import LOOK_EVERY_SECONDS
from registerbro.storage.sealing.reseal import Kind, Resealing
from registerbro.storage.sealing.sealer import key_id
from registerbro.terminal import remark, say, say_json

cli = typer.Typer(no_args_is_help=True, help="The keys that seal what is kept, and the pepper that names citizens.")

KNOWN_AFTER_SECONDS = 5 * LOOK_EVERY_SECONDS
"""Time between a key's arrival and its first use: five rounds in which every process reads its files, unless frozen."""
SAY_EVERY = 1000
UNREADABLE = "the cache or the ledger cannot be read"
PLURALS = {
    Kind.CITIZEN: "citizens",
    Kind.STANDING: "standings",
    Kind.ENTRY: "entries",
    Kind.EMPLOYER: "employers",
    Kind.REPORT: "reports",
    Kind.SUBSCRIPTION: "subscriptions",
    Kind.CONTACT_GROUPS: "histories of contact groups",
}


class What(StrEnum):
    """What can be rotated."""

    SEALING = "sealing"
    PEPPER = "pepper"


@cli.command()
def rotate(  # noqa: PLR0917 - typer's way of options
    what: Annotated[What, typer.Argument(help="The key that seals, or the pepper that names citizens.")],
    folder: Annotated[
        Path | None, typer.Option("--secrets", help="The folder of `registerbro secrets`, in place of this process's.")
    ] = None,
    wait: Annotated[
        float, typer.Option(min=0, help="For how many seconds the new one is known everywhere before it is used.")
    ] = KNOWN_AFTER_SECONDS,
    later: Annotated[bool, typer.Option("--later", help="Leave it to `keys reseal` to seal anew what is old.")] = False,  # noqa: FBT002
    reason: Reason = "",
    by: By = "",
) -> None:
    """Make a new key the first, while everything runs; what the old ones sealed stays readable, and is sealed anew.

    The files are changed twice: at first the new one stands behind the others, so that everybody knows it, and then
    in front of them. Where files reach their processes slowly, a longer --wait is needed. With --secrets nothing is
    sealed anew and nothing is put on record: the installation is elsewhere, and `keys reseal` does both there.
    """
    who = operator(by)
    files = _files(folder)
    change = partial(_rotate_sealing if what is What.SEALING else _rotate_pepper, files, wait)
    try:
        if folder is not None:
            change()
            return
        with who.recorded(Action.ROTATE_KEY, target=what.value, reason=reason):
            change()
    except (OSError, ValueError) as error:
        fail(f"not rotated: {error}", status=1)
    if what is What.SEALING and not later:
        # Until then a process may still seal with the previous key.
        _known_everywhere(wait)
        _reseal(who, "a new sealing key")


@cli.command()
def reseal(reason: Reason = "", by: By = "") -> None:
    """Seal anew, with the newest key, what older ones sealed. It may be broken off, and begun again."""
    _reseal(operator(by), reason)


def _reseal(who: Operator, reason: str) -> None:
    settings = auditable()

    async def run(services: Services) -> Counter[bool]:
        done: Counter[bool] = Counter()
        async with who.acts(services, Action.RESEAL, reason=reason):
            async for opened in _resealing(services).renew_all():
                done[opened] += 1
                if done.total() % SAY_EVERY == 0:
                    remark(f"{done.total()} values …")
        return done

    done = with_services(settings, run, UNREADABLE)
    say(f"sealed anew: {done[True]} values; {done[False]} do not open with any key")
    if done[False]:
        raise typer.Exit(1)


@cli.command()
def status(as_json: AsJson = False) -> None:  # noqa: FBT002
    """Show how much each key has sealed, and how many citizens each pepper names. Exit status 1 if a key is missing."""
    settings = open_settings()

    async def look(services: Services) -> dict[str, Any]:
        sealed: Counter[tuple[bytes | None, Kind]] = Counter()
        citizens: Counter[int | None] = Counter()
        async for value in _resealing(services).values():
            sealed[value.key_id, value.kind] += 1
            if value.kind is Kind.CITIZEN:
                citizens[await _pepper_of(services, value.key)] += 1
        known = services.sealer.key_ids
        strangers = sorted({key for key, _ in sealed} - set(known), key=lambda key: key or b"")
        return {
            "sealing_keys": [_of_key(key, sealed, newest=key == known[0]) for key in known],
            "missing_keys": [_of_key(key, sealed, newest=False) for key in strangers],
            "peppers": [
                {"newest": place == 0, "citizens": citizens[place]} for place in range(len(services.keyring.peppers()))
            ],
            "citizens_of_no_pepper": citizens[None],
        }

    found = with_services(settings, look, UNREADABLE)
    if as_json:
        say_json(found)
    else:
        for key in (*found["sealing_keys"], *found["missing_keys"]):
            told = "seals" if key["newest"] else ("MISSING" if key in found["missing_keys"] else "opens")
            say(f"key {key['id']}  {told:<7}  " + "  ".join(f"{key[kind]} {PLURALS[kind]}" for kind in Kind))
        for place, pepper in enumerate(found["peppers"], 1):
            told = "names" if pepper["newest"] else "finds"
            say(f"pepper {place}      {told:<7}  {pepper['citizens']} citizens")
        if found["citizens_of_no_pepper"]:
            say(f"{found['citizens_of_no_pepper']} citizens have an id of a pepper that is not known, or do not open")
    if found["missing_keys"]:
        raise typer.Exit(1)


def _of_key(key: bytes | None, sealed: Counter[tuple[bytes | None, Kind]], *, newest: bool) -> dict[str, Any]:
    return {
        "id": key.hex() if key else "none",
        "newest": newest,
        **{kind.value: sealed[key, kind] for kind in Kind},
    }


async def _pepper_of(services: Services, key: str) -> int | None:
    """The place of the pepper that the id in a citizen's key comes from; None without one, or when it does not open."""
    citizen_id = key.partition("{")[2].rstrip("}")
    cpr = await services.citizens.recall(citizen_id)
    ids = services.citizens.ids_of(cpr) if cpr else ()
    return ids.index(citizen_id) if citizen_id in ids else None


def _resealing(services: Services) -> Resealing:
    return Resealing(services.cache, services.ledger.redis, services.sealer)


class Secret:
    """One secret, in all files that hold a copy of it."""

    def __init__(self, name: str, paths: Iterable[Path]) -> None:
        self.name = name
        self._paths = tuple(paths)

    def read(self) -> str:
        """The content of the files. Raises ValueError when they differ."""
        texts = {path.read_text(encoding="utf-8").strip() for path in self._paths}
        if len(texts) != 1:
            raise ValueError(f"the files of {self.name} differ: {', '.join(map(str, self._paths))}")
        return texts.pop()

    def write(self, values: Iterable[str]) -> None:
        """Replaces each file's content by the values, comma-separated; a reader sees the old content or the new."""
        for path in self._paths:
            beside = path.with_name(f".{path.name}.new")
            beside.touch(mode=path.stat().st_mode & 0o777)
            beside.write_text(",".join(values), encoding="utf-8")
            os.replace(beside, path)


def _files(folder: Path | None) -> Callable[[str], Secret]:
    """The function that finds a secret's files, by the secret's name."""

    def of_this_process(name: str) -> Secret:
        path = open_settings().secret_file(name)
        if path is None:
            fail(f"{PREFIX}{name.upper()}_FILE: is missing; only what is given as a file can change while it is used")
        return Secret(name, [path])

    return of_this_process if folder is None else lambda name: Secret(name, copies(folder, name))


def _rotate_sealing(files: Callable[[str], Secret], wait: float) -> None:
    secret = files("sealing_keys")
    old = _listed(secret.read(), parse_sealing_keys)
    new = base64.urlsafe_b64encode(secrets.token_bytes(SEALING_KEY_BYTES)).decode()
    secret.write((*old, new))
    _known_everywhere(wait)
    secret.write((new, *old))
    say(f"key {key_id(base64.urlsafe_b64decode(new)).hex()} seals from now on; `registerbro keys reseal` seals anew")
    say("what older ones did, and `registerbro keys status` tells when they may go")


def _rotate_pepper(files: Callable[[str], Secret], wait: float) -> None:
    secret, others = files("pepper"), files("other_peppers")
    old = parse_pepper(secret.read())
    if "," in old:
        raise ValueError("the pepper holds a comma, and cannot stand in the list of the others")
    before = _listed(others.read(), parse_peppers)
    new = secrets.token_urlsafe(32)
    others.write((new, *before))
    _known_everywhere(wait)
    # The old pepper joins the others before it loses its place, so that every process knows it throughout.
    others.write((new, old, *before))
    _known_everywhere(wait)
    secret.write([new])
    _known_everywhere(wait)
    others.write((old, *before))
    say("a new pepper names citizens from now on; by the older ones they are found as long as those are kept: "
          "30 days for the schedule, 90 for the status of fault reports")  # fmt: skip


def _listed(text: str, parse: Callable[[str], object]) -> tuple[str, ...]:
    """The values of a list as they are written. Raises ValueError when `parse` refuses one."""
    parse(text)
    return tuple(value.strip() for value in text.split(",") if value.strip())


def _known_everywhere(wait: float) -> None:
    remark(f"waiting {wait:g} s, until every process has looked at its files …")
    time.sleep(wait)
