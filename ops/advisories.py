"""`make audit`: known vulnerabilities of what is pinned, as pip-audit finds them, and the licences of what is shipped.

What could not be checked is never called clean: pip-audit ends well also where no service answered for any package.
With `--feed`, no service is asked, and the advisories are those of a feed in files (ops/feed.py).
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ops import licences
from ops.feed import Feed, NotAFeed, Pinned
from ops.licences import PIN, PROJECT
from ops.terminal import remark, say
from ops.waits import TookTooLong, run

PIP_AUDIT = PROJECT / ".venv-audit" / "bin" / "pip-audit"
FILES = ("run", "dev", "audit", "lock")
SERVICES = ("pypi", "osv")
"""The package index's own service, and the one to ask where that does not answer."""
SERVICE_SECONDS = 300
"""How long one service may take for one file; then the next is asked."""
FOUND, NOT_CHECKED = 1, 3
"""Exit statuses: something is wrong; and nothing is known to be, but not everything was checked."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What is known of the pins of one file."""

    packages: int = 0
    vulnerable: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = field(default=())


def check(requirements: Path, pip_audit: Path = PIP_AUDIT, within: float = SERVICE_SECONDS) -> Checked:
    """What pip-audit says of a requirements file: of the first service that knows all of it, or of the last."""
    checked = Checked(unchecked=("no service answered",))
    for service in SERVICES:
        try:
            answer = run(
                [str(pip_audit), "--requirement", str(requirements), "--require-hashes", "--disable-pip",
                 "--vulnerability-service", service, "--format", "json", "--progress-spinner", "off"],
                within, check=False,
            )  # fmt: skip
            listed = json.loads(answer.stdout)["dependencies"]
        except (ValueError, KeyError, TypeError, TookTooLong):
            continue
        checked = _read(listed, checked.vulnerable)
        if not checked.unchecked:
            break
    return checked


def check_by_feed(packages: Sequence[Pinned], feed: Feed) -> Checked:
    """What a feed says of packages; where it has nothing about their ecosystem, nobody has looked at them."""
    unchecked = [one.name for one in packages if not feed.covers(one.ecosystem)] or ([] if packages else ["none"])
    vulnerable = [_line(one.name, one.version, known.id, known.fixed) for one in packages for known in feed.about(one)]
    return Checked(len(packages), tuple(vulnerable), tuple(unchecked))


def pins(requirements: Path) -> list[Pinned]:
    """The packages of a requirements file."""
    return [Pinned("PyPI", name, version) for name, version in PIN.findall(requirements.read_text(encoding="utf-8"))]


def _line(name: str, version: str, advisory: str, fixed: Sequence[str]) -> str:
    return f"{name} {version}: {advisory}, mended in {', '.join(fixed) or 'nowhere yet'}"


def _read(listed: Sequence[dict[str, Any]], known: Sequence[str]) -> Checked:
    """What a service says, and what is `known` from one that was asked before."""
    vulnerable, unchecked = list(known), []
    for one in listed:
        if "skip_reason" in one or "vulns" not in one:
            unchecked.append(str(one["name"]))
        for found in one.get("vulns") or ():
            line = _line(one["name"], one["version"], found["id"], found["fix_versions"])
            vulnerable += [line] if line not in vulnerable else []
    if not listed:
        unchecked.append("the list is empty")
    return Checked(len(listed), tuple(vulnerable), tuple(unchecked))


def main(pip_audit: Path = PIP_AUDIT, feed: Feed | None = None) -> int:
    """Checks and tells. Returns the exit status."""
    files = {f"requirements/{name}.txt": PROJECT / "requirements" / f"{name}.txt" for name in FILES}
    packages = licences.shipped()
    if feed is None:
        results = {name: check(path, pip_audit) for name, path in files.items()}
    else:
        results = {name: check_by_feed(pins(path), feed) for name, path in files.items()}
        say(f"the feed's newest advisory is of {feed.newest or 'a time that it does not tell'}")
    of_npm = [Pinned("npm", one.name, one.version) for one in packages if one.kind == "npm"]
    if feed is not None and feed.covers("npm"):
        results["package-lock.json"] = check_by_feed(of_npm, feed)
    refused = licences.refused(packages)
    say(f"licences: {len(packages)} packages are shipped, {len(refused)} of them under terms that are not acceptable")
    for package in refused:
        say(f"  {package.name} {package.version}: {package.licence or 'unknown'}")
    for name, checked in results.items():
        for line in checked.vulnerable:
            say(f"  {name}: {line}")
        if checked.unchecked:
            say(
                f"{name}: NOT CHECKED: {len(checked.unchecked)} of {checked.packages} packages, as no service knew them"
            )
        else:
            say(f"{name}: {checked.packages} packages checked, {len(checked.vulnerable)} vulnerabilities known")
    if "package-lock.json" not in results:
        # npm's own service is not asked: what is shipped of npm is one style sheet with its fonts, pinned by checksum.
        say("package-lock.json: NOT CHECKED for vulnerabilities (licences are): see npm audit, or give a feed of npm's")
    if refused or any(checked.vulnerable for checked in results.values()):
        return FOUND
    return NOT_CHECKED if any(checked.unchecked for checked in results.values()) else 0


def _feed(path: str) -> Feed | None:
    """The feed that is named; None where none is. Ends the process in one line when it is none."""
    try:
        return Feed.read(Path(path)) if path else None
    except (NotAFeed, OSError) as error:
        remark(f"audit: {error}")
        raise SystemExit(NOT_CHECKED) from None


if __name__ == "__main__":
    _parser = argparse.ArgumentParser(prog="audit", description=__doc__)
    _parser.add_argument("--feed", default="", help="advisories in the OSV format: a .json or .zip file, or a folder")
    sys.exit(main(feed=_feed(_parser.parse_args().feed)))
