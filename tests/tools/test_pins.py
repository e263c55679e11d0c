"""What is installed is what was pinned: every list by checksum, also that of the tool which makes the lists."""

import re

import pytest

HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


@pytest.mark.parametrize("file", ["Makefile", "Dockerfile"])
def test_nothing_is_installed_but_by_checksum(project, file):
    text = (project / file).read_text(encoding="utf-8").replace("\\\n", " ")
    installs = [line for line in text.splitlines() if re.search(r"\bpip\b.* install\b", line)]
    assert installs
    assert [
        line for line in installs if "--require-hashes" not in line and "--no-deps --no-build-isolation" not in line
    ] == []


def test_every_list_that_is_compiled_has_a_checksum_for_each_package(project):
    lists = sorted((project / "requirements").glob("*.txt"))
    assert {"run", "dev", "lock", "audit", "node"} <= {path.stem for path in lists}
    for path in lists:
        pins = re.split(r"^(?=[A-Za-z0-9])", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
        if path.name != "peers-sources.txt":
            assert [pin.split()[0] for pin in pins if not HASH.search(pin)] == []


def test_every_base_image_can_be_given_by_digest(project):
    bases = re.findall(r"^FROM (\S+)", (project / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(bases) == {"${BASE_IMAGE}", "${REDIS_IMAGE}"}
    compose = (project / "docker-compose.yml").read_text(encoding="utf-8")
    assert compose.count("${BASE_IMAGE:-") == compose.count("${REDIS_IMAGE:-") == 2
