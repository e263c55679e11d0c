"""`make audit`: known vulnerabilities of what is pinned, as pip-audit finds them, and the licences of what is shipped.

What could not be checked is never called clean: pip-audit ends well also where no service answered for any package.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ops import licences
from ops.licences import PROJECT
from ops.terminal import say

PIP_AUDIT = PROJECT / ".venv-audit" / "bin" / "pip-audit"
FILES = ("run", "dev", "audit")
SERVICES = ("pypi", "osv")
"""The package index's own service, and the one to ask where that does not answer."""
FOUND, NOT_CHECKED = 1, 3
"""Exit statuses: something is wrong; and nothing is known to be, but not everything was checked."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What is known of the pins of one file."""

    packages: int = 0
    vulnerable: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = field(default=())


def check(requirements: Path, pip_audit: Path = PIP_AUDIT) -> Checked:
    """What pip-audit says of a requirements file: of the first service that knows all of it, or of the last."""
    checked = Checked(unchecked=("no service answered",))
    for service in SERVICES:
        answer = subprocess.run(
            [str(pip_audit), "--requirement", str(requirements), "--require-hashes", "--disable-pip",
             "--vulnerability-service", service, "--format", "json", "--progress-spinner", "off"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        try:
            listed = json.loads(answer.stdout)["dependencies"]
        except (ValueError, KeyError, TypeError):
            continue
        checked = _read(listed, checked.vulnerable)
        if not checked.unchecked:
            break
    return checked


def _read(listed: Sequence[dict[str, Any]], known: Sequence[str]) -> Checked:
    """What a service says, and what is `known` from one that was asked before."""
    vulnerable, unchecked = list(known), []
    for one in listed:
        if "skip_reason" in one or "vulns" not in one:
            unchecked.append(str(one["name"]))
        for found in one.get("vulns") or ():
            fixed = ", ".join(found["fix_versions"]) or "nowhere yet"
            line = f"{one['name']} {one['version']}: {found['id']}, mended in {fixed}"
            vulnerable += [line] if line not in vulnerable else []
    if not listed:
        unchecked.append("the list is empty")
    return Checked(len(listed), tuple(vulnerable), tuple(unchecked))


def main(pip_audit: Path = PIP_AUDIT) -> int:
    """Checks and tells. Returns the exit status."""
    results = {f"requirements/{name}.txt": check(PROJECT / "requirements" / f"{name}.txt", pip_audit) for name in FILES}
    packages = licences.shipped()
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
    # npm's own service is not asked: what is shipped of npm is one style sheet with its fonts, pinned by checksum.
    say("package-lock.json: NOT CHECKED for vulnerabilities (licences are): see npm audit")
    if refused or any(checked.vulnerable for checked in results.values()):
        return FOUND
    return NOT_CHECKED if any(checked.unchecked for checked in results.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
