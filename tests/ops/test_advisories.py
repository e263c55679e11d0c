"""`make audit` is never green for what nobody looked at. pip-audit is a program that says what the test has it say."""

import json
import stat
import sys

import pytest

from ops import advisories

FINE = {"name": "a", "version": "1", "vulns": []}
SKIPPED = {"name": "b", "skip_reason": "Dependency not found on PyPI and could not be audited: b (1)"}
BAD = {"name": "c", "version": "1", "vulns": [{"id": "PYSEC-2026-1", "fix_versions": ["2"], "aliases": []}]}


@pytest.fixture
def says(tmp_path):
    """Makes a pip-audit that answers for each service with a list, or with nothing but an error."""

    def make(**by_service):
        program = tmp_path / "pip-audit"
        answers = {
            name: json.dumps({"dependencies": listed}) for name, listed in by_service.items() if listed is not None
        }
        program.write_text(
            f"#!{sys.executable}\nimport sys\n"
            "service = sys.argv[sys.argv.index('--vulnerability-service') + 1]\n"
            f"answer = {answers!r}.get(service)\n"
            "print(answer or 'no connection', file=sys.stdout if answer else sys.stderr)\n"
            "sys.exit(0 if answer else 1)\n"
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        return program

    return make


@pytest.mark.parametrize(
    ("by_service", "status", "words"),
    [
        ({"pypi": [FINE]}, 0, "1 packages checked, 0 vulnerabilities known"),
        ({"pypi": [FINE, BAD]}, 1, "c 1: PYSEC-2026-1, mended in 2"),
        ({"pypi": [FINE, SKIPPED], "osv": [FINE]}, 0, "1 packages checked"),
        ({"pypi": [SKIPPED], "osv": [BAD]}, 1, "PYSEC-2026-1"),
        ({"pypi": [FINE, SKIPPED], "osv": None}, 3, "NOT CHECKED: 1 of 2 packages"),
        ({"pypi": [BAD, SKIPPED], "osv": None}, 1, "PYSEC-2026-1"),
        ({"pypi": None, "osv": None}, 3, "NOT CHECKED"),
        ({"pypi": [], "osv": []}, 3, "NOT CHECKED"),
    ],
)
def test_what_was_not_checked_is_said_and_never_counts_as_clean(says, capsys, by_service, status, words):
    assert advisories.main(says(**by_service)) == status
    assert words in capsys.readouterr().out


def test_a_licence_that_is_not_acceptable_fails(says, capsys, monkeypatch):
    monkeypatch.setattr(advisories.licences, "ACCEPTABLE", frozenset({"MIT"}))
    assert advisories.main(says(pypi=[FINE])) == 1
    assert "aiohttp" in capsys.readouterr().out
