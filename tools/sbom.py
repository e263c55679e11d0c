"""`make sbom`: software bill of materials in CycloneDX JSON, from the pinned requirements and package-lock.json.

It runs in the environment of requirements/audit.txt. The file has no time of its making, so that the same pins give the
same file.
"""

import argparse
import base64
import json
import sys
from pathlib import Path
from typing import Any

from registerbro.bounded_calls import run
from registerbro.terminal import remark, say
from tools import licences
from tools.licences import PROJECT, Package

VERSION = "1.6"
ALGORITHMS = {"sha512": "SHA-512", "sha384": "SHA-384", "sha256": "SHA-256"}


class NotValid(Exception):
    """The list violates CycloneDX' schema, or lacks a package; the message says where."""


def make(site_packages: Path) -> dict[str, Any]:
    """The list; `site_packages` is the folder of the installed packages, whose licences are read there.

    Raises NotValid when the list lacks a shipped package.
    """
    listed: dict[str, Any] = json.loads(
        run(
            [str(Path(sys.executable).parent / "cyclonedx-py"), "requirements", "--output-reproducible",
             "--spec-version", VERSION, "--output-format", "JSON", "--pyproject", "pyproject.toml",
             "requirements/run.txt"],
            cwd=PROJECT,
        ).stdout
    )  # fmt: skip
    packages = licences.shipped(search=[str(site_packages)])
    components = {one["purl"]: one for one in listed["components"]}
    for package in packages:
        purl = f"pkg:{package.kind}/{package.name}@{package.version}"
        if package.kind == "npm":
            components[purl] = _of_npm(package, purl)
        elif purl not in components:
            raise NotValid(f"{purl} is missing")
        component = components[purl]
        # The tool's descriptions are lines of the requirements file, and its addresses those of a registry.
        component.pop("description", None)
        component["hashes"] = component.get("hashes") or [
            one for reference in component.pop("externalReferences", ()) for one in reference.get("hashes", ())
        ]
        if package.licence:
            component["licenses"] = [_licence(package.licence)]
    listed["components"] = sorted(components.values(), key=lambda one: str(one["purl"]))
    return listed


def _licence(expression: str) -> dict[str, Any]:
    is_one = " " not in expression
    return {"license": {"id": expression}} if is_one else {"expression": expression}


def _of_npm(package: Package, purl: str) -> dict[str, Any]:
    lock = json.loads((PROJECT / "package-lock.json").read_text(encoding="utf-8"))
    algorithm, _, digest = lock["packages"][f"node_modules/{package.name}"]["integrity"].partition("-")
    content = base64.b64decode(digest).hex()
    return {
        "bom-ref": purl,
        "type": "library",
        "name": package.name,
        "version": package.version,
        "purl": purl,
        "hashes": [{"alg": ALGORITHMS[algorithm], "content": content}],
    }


def validate(text: str) -> None:
    """Raises NotValid when the list violates the schema."""
    from cyclonedx.schema import SchemaVersion  # noqa: PLC0415 - in another environment than all else
    from cyclonedx.validation.json import JsonStrictValidator  # noqa: PLC0415

    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if problem is not None:
        raise NotValid(str(problem)[:500])


def main() -> int:
    """Makes, validates and writes the list. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="sbom", description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("site_packages", type=Path)
    arguments = parser.parse_args()
    try:
        listed = make(arguments.site_packages)
        text = json.dumps(listed, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
        validate(text)
    except NotValid as error:
        remark(f"sbom: {error}")
        return 1
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(text, encoding="utf-8")
    say(f"{arguments.output}: CycloneDX {VERSION}, {len(listed['components'])} components, valid")
    return 0


if __name__ == "__main__":
    sys.exit(main())
