"""What `make sbom` adds to what CycloneDX' own tool lists; that the whole is valid, `make sbom` looks itself."""

import pytest

from tools import licences, sbom


def test_what_is_shipped_of_npm_is_listed_with_its_checksum():
    (package,) = [one for one in licences.shipped() if one.kind == "npm"]
    component = sbom._of_npm(package, "pkg:npm/x@1")
    assert (component["name"], component["version"]) == ("dkfds", package.version)
    (checksum,) = component["hashes"]
    assert checksum["alg"] == "SHA-512"
    assert len(checksum["content"]) == 128


@pytest.mark.parametrize(
    ("licence", "listed"),
    [("MIT", {"license": {"id": "MIT"}}), ("MIT OR Apache-2.0", {"expression": "MIT OR Apache-2.0"})],
)
def test_a_licence_is_an_identifier_and_alternatives_are_an_expression(licence, listed):
    assert sbom._licence(licence) == listed
