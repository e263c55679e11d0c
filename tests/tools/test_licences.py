"""What is shipped is shipped under licences that were looked at, and an unknown one is refused."""

from pathlib import Path

import pytest

from tools import licences
from tools.licences import Package, is_acceptable


def test_all_that_is_shipped_has_an_acceptable_licence():
    packages = licences.shipped()
    assert {package.kind for package in packages} == {"pypi", "npm"}
    assert len(packages) > 50
    assert licences.refused(packages) == []


@pytest.mark.parametrize(
    ("expression", "fine"),
    [
        ("MIT", True),
        ("Apache-2.0 AND MIT", True),
        ("GPL-3.0-only OR MIT", True),
        ("(MIT AND OFL-1.1 AND Apache-2.0)", True),
        ("GPL-3.0-only", False),
        ("MIT AND AGPL-3.0-or-later", False),
        ("LicenseRef-Proprietary", False),
        ("Apache-2.0 WITH LLVM-exception", False),
        ("", False),
    ],
)
def test_of_alternatives_one_is_enough_and_of_several_at_once_all_must_be_acceptable(expression, fine):
    assert is_acceptable(expression) is fine
    assert Package("pypi", "x", "1", expression or None).acceptable is fine


def installed(folder: Path, *lines: str) -> list[Package]:
    """What is read of one package that says this of itself."""
    facts = folder / "thing-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("\n".join(("Metadata-Version: 2.4", "Name: Thing", "Version: 1.0", *lines, "")))
    (folder / "run.txt").write_text("thing==1.0 \\\n    --hash=sha256:00\n")
    found = licences.shipped(folder / "run.txt", [str(folder)])
    return [package for package in found if package.kind == "pypi"]


@pytest.mark.parametrize(
    ("lines", "licence"),
    [
        (["License-Expression: MIT"], "MIT"),
        (["License: GPL", "License-Expression: GPL-3.0-only"], "GPL-3.0-only"),
        (["Classifier: License :: OSI Approved :: BSD License"], "BSD-3-Clause"),
        (["Classifier: License :: OSI Approved :: GNU General Public License v3 (GPLv3)"], None),
        (
            ["Classifier: License :: OSI Approved :: BSD License", "Classifier: License :: Other/Proprietary License"],
            None,
        ),
        (["License: MIT"], "MIT"),
        (["License: see the file"], None),
        ([], None),
    ],
)
def test_what_a_package_says_of_itself_is_read_and_what_is_not_known_is_refused(tmp_path, lines, licence):
    (package,) = installed(tmp_path, *lines)
    assert package.licence == licence
    assert bool(licences.refused([package])) is (licence in {None, "GPL-3.0-only"})


def test_a_package_that_is_pinned_and_not_installed_is_refused_unless_it_was_looked_at(tmp_path):
    (tmp_path / "run.txt").write_text("not-there==1.0\ncolorama==0.4.6\n")
    packages = licences.shipped(tmp_path / "run.txt", [str(tmp_path)])
    assert [package.name for package in licences.refused(packages)] == ["not-there"]
