"""Licences of shipped packages, as each package states them, and the list of acceptable licences.

`python -m tools.licences` lists them; the exit status is 1 when a licence is not acceptable, or not known.
"""

import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from registerbro.terminal import say

PROJECT = Path(__file__).resolve().parent.parent

ACCEPTABLE = frozenset({
    # They require a notice and no more.
    "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "PSF-2.0",
    # Fonts: may be shipped with anything, and not be sold by themselves.
    "OFL-1.1",
    # Requires that changes to its own files are published; we change none.
    "MPL-2.0",
})  # fmt: skip
"""SPDX identifiers. No licence that reaches beyond its own files (GPL, AGPL, LGPL linked in) is among them."""

AS_STATED = {
    # Old classifiers and fields, with the SPDX identifier that those packages' licence files stand for.
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "3-Clause BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
ELSEWHERE = {
    # Installed on other platforms or older Pythons alone, so that this one may have no metadata of them.
    "async-timeout": "Apache-2.0",
    "colorama": "BSD-3-Clause",
}

PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)
_WORDS = re.compile(r"[^\s()]+")


@dataclass(frozen=True, slots=True)
class Package:
    """One package that is shipped. `licence` is an SPDX expression, None where none is known."""

    kind: str
    name: str
    version: str
    licence: str | None

    @property
    def acceptable(self) -> bool:
        """Whether its licence may be shipped: of alternatives one that is acceptable is enough."""
        return self.licence is not None and is_acceptable(self.licence)


def is_acceptable(expression: str) -> bool:
    """Whether an SPDX expression of identifiers, AND, OR and brackets around the whole of it may be shipped."""
    words = " ".join(_WORDS.findall(expression))
    return any(set(choice.split(" AND ")) <= ACCEPTABLE for choice in words.split(" OR "))


def shipped(
    requirements: Path = PROJECT / "requirements" / "run.txt", search: list[str] | None = None
) -> list[Package]:
    """The packages of a deployment. `search` lists folders of installed packages; by default, this Python's."""
    return [*_python(requirements, search), *_node(PROJECT / "package-lock.json")]


def _python(requirements: Path, search: list[str] | None) -> Iterator[Package]:
    path = sys.path if search is None else search
    installed = {_normal(one.name): one.metadata for one in metadata.distributions(path=path)}
    for name, version in PIN.findall(requirements.read_text(encoding="utf-8")):
        found = installed.get(_normal(name))
        known = ELSEWHERE.get(name) if found is None else _stated(found)
        yield Package("pypi", name, version, known)


def _node(lock: Path) -> Iterator[Package]:
    for where, facts in json.loads(lock.read_text(encoding="utf-8"))["packages"].items():
        if where and not facts.get("dev"):
            yield Package("npm", where.removeprefix("node_modules/"), facts["version"], facts.get("license"))


def _stated(found: metadata.PackageMetadata) -> str | None:
    if "License-Expression" in found:
        return found["License-Expression"]
    classifiers = [one.rpartition(" :: ")[2] for one in found.get_all("Classifier", []) if one.startswith("License ::")]
    stated = classifiers or found.get_all("License", [""])
    known = [AS_STATED.get(one, one) for one in stated if AS_STATED.get(one, one) in ACCEPTABLE]
    return " AND ".join(known) if len(known) == len(stated) else None


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def refused(packages: Iterable[Package]) -> list[Package]:
    """The packages whose licence is not acceptable, or not known."""
    return [package for package in packages if not package.acceptable]


def main() -> int:
    """Lists the packages. Returns the exit status."""
    packages = shipped()
    for package in packages:
        mark = "" if package.acceptable else "   NOT ACCEPTABLE"
        say(f"{package.kind:<5} {package.name} {package.version}: {package.licence or 'unknown'}{mark}")
    return 1 if refused(packages) else 0


if __name__ == "__main__":
    sys.exit(main())
