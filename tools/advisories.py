"""`make audit`: known vulnerabilities of pinned packages, from pip-audit, and licences of shipped packages.

A package that could not be checked is reported as such: pip-audit exits with 0 even where no service answered. With
`--feed` no service is asked: the advisories come from files (tools/advisory_feed.py).
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from registerbro.bounded_calls import TookTooLong, run
from registerbro.terminal import remark, say
from tools import licences
from tools.advisory_feed import Feed, NotAFeed, Pinned
from tools.licences import PIN, PROJECT

PIP_AUDIT = PROJECT / ".venv-audit" / "bin" / "pip-audit"
FILES = ("run", "dev", "audit", "lock")
SERVICES = ("pypi", "osv")
"""The package index's own service, and the service to ask where that does not answer."""
SERVICE_SECONDS = 300
"""Time limit of one service for one file; then the next is asked."""
FOUND, NOT_CHECKED = 1, 3
"""Exit statuses: a vulnerability or a licence was found; none was found, but some packages were not checked."""


@dataclass(frozen=True, slots=True)
class Checked:
    """Result for the pins of one file."""

    packages: int = 0
    vulnerable: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = field(default=())


def check(requirements: Path, pip_audit: Path = PIP_AUDIT, within: float = SERVICE_SECONDS) -> Checked:
    """pip-audit's result for a requirements file: from the first service that knows every pin, or from the last."""
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
    """A feed's result for packages; where it has no advisory about their ecosystem, they are unchecked."""
    unchecked = [one.name for one in packages if not feed.covers(one.ecosystem)] or ([] if packages else ["none"])
    vulnerable = [_line(one.name, one.version, known.id, known.fixed) for one in packages for known in feed.about(one)]
    return Checked(len(packages), tuple(vulnerable), tuple(unchecked))


def pins(requirements: Path) -> list[Pinned]:
    """The packages of a requirements file."""
    return [Pinned("PyPI", name, version) for name, version in PIN.findall(requirements.read_text(encoding="utf-8"))]


def _line(name: str, version: str, advisory: str, fixed: Sequence[str]) -> str:
    return f"{name} {version}: {advisory}, mended in {', '.join(fixed) or 'nowhere yet'}"


def _read(listed: Sequence[dict[str, Any]], known: Sequence[str]) -> Checked:
    """A service's result, together with the vulnerabilities `known` from an earlier service."""
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
        # npm's service is not asked: the one npm package shipped is a style sheet with fonts, pinned by checksum.
        say("package-lock.json: NOT CHECKED for vulnerabilities (licences are): see npm audit, or give a feed of npm's")
    if refused or any(checked.vulnerable for checked in results.values()):
        return FOUND
    return NOT_CHECKED if any(checked.unchecked for checked in results.values()) else 0


def _feed(path: str) -> Feed | None:
    """The feed at a path; None without one. Ends the process in one line when the path holds no feed."""
    try:
        return Feed.read(Path(path)) if path else None
    except (NotAFeed, OSError) as error:
        remark(f"audit: {error}")
        raise SystemExit(NOT_CHECKED) from None


if __name__ == "__main__":
    _parser = argparse.ArgumentParser(prog="audit", description=__doc__)
    _parser.add_argument("--feed", default="", help="advisories in the OSV format: a .json or .zip file, or a folder")
    sys.exit(main(feed=_feed(_parser.parse_args().feed)))
