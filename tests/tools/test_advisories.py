"""`make audit` is never green for what nobody looked at. pip-audit is a program that says what the test has it say."""

import json
import stat
import subprocess
import sys
import zipfile

import pytest

from tools import advisories
from tools.advisory_feed import Feed, Known, NotAFeed, Pinned

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


def test_a_service_that_never_answers_is_not_waited_for(tmp_path):
    program = tmp_path / "pip-audit"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o755)
    assert advisories.check(tmp_path / "x.txt", program, within=0.2).unchecked == ("no service answered",)


def advisory(name="demo-package", *, ecosystem="PyPI", **affected):
    of = {"package": {"ecosystem": ecosystem, "name": name}, **affected}
    return {"id": "PYSEC-2026-7", "modified": "2026-11-01T00:00:00Z", "affected": [of]}


def between(*events, kind="ECOSYSTEM"):
    return [{"type": kind, "events": list(events)}]


FIXED = between({"introduced": "0"}, {"fixed": "2.0"})


@pytest.mark.parametrize(
    ("affected", "version", "fixed"),
    [
        ({"ranges": FIXED}, "1.9", ("2.0",)),
        ({"ranges": FIXED}, "2.0", None),
        ({"ranges": FIXED}, "2.0rc1", ("2.0",)),
        ({"ranges": FIXED}, "0.dev1", ("2.0",)),
        ({"ranges": FIXED}, "nonsense", ("2.0",)),
        ({"ranges": between({"introduced": "1.5"}, {"last_affected": "1.9"})}, "1.9", ()),
        ({"ranges": between({"introduced": "1.5"}, {"last_affected": "1.9"})}, "1.10", None),
        ({"ranges": between({"introduced": "1.5"})}, "1.4", None),
        ({"ranges": between({"introduced": "1"}, {"fixed": "2"}, {"introduced": "3"})}, "2.5", None),
        ({"ranges": between({"introduced": "3"}, {"introduced": "1"}, {"fixed": "2"})}, "3.5", ("2",)),
        ({"ranges": between({"introduced": "0"}, kind="GIT")}, "1", None),
        ({"versions": ["1.0", "1.1"]}, "1.1", ()),
        ({"versions": ["1.0", "1.1"]}, "1.2", None),
        ({}, "1.2", None),
    ],
)
def test_a_feed_tells_of_the_versions_that_are_affected(affected, version, fixed):
    found = Feed([advisory(**affected)]).about(Pinned("PyPI", "Demo_Package", version))
    assert found == ([] if fixed is None else [Known("PYSEC-2026-7", fixed)])


def test_what_was_withdrawn_or_is_of_another_ecosystem_is_nobodys():
    assert (
        Feed([advisory(ranges=FIXED) | {"withdrawn": "2026-11-02T00:00:00Z"}]).about(
            Pinned("PyPI", "demo-package", "1")
        )
        == []
    )
    feed = Feed([advisory(ecosystem="npm", ranges=between({"introduced": "0"}, kind="SEMVER"))])
    assert (feed.about(Pinned("PyPI", "demo-package", "1")), feed.covers("PyPI"), feed.covers("npm")) == (
        [],
        False,
        True,
    )
    assert feed.about(Pinned("npm", "demo-package", "1.0.0"))


@pytest.fixture(params=["one", "list", "zip", "folder"])
def feed_file(request, tmp_path):
    """Makes a feed of these advisories, in each form that there is."""

    def make(*listed):
        folder = tmp_path / "feed"
        folder.mkdir()
        for number, one in enumerate(listed):
            (folder / f"{number}.json").write_text(json.dumps(one))
        if request.param == "folder":
            return folder
        if request.param == "zip":
            with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
                for file in folder.iterdir():
                    archive.write(file, file.name)
            return tmp_path / "all.zip"
        file = tmp_path / "feed.json"
        file.write_text(json.dumps(listed[0] if request.param == "one" and len(listed) == 1 else list(listed)))
        return file

    return make


def test_with_a_feed_everything_is_checked_and_no_service_is_asked(feed_file, capsys, tmp_path):
    feed = Feed.read(feed_file(advisory(), advisory("dkfds", ecosystem="npm")))
    assert advisories.main(tmp_path / "nothing", feed) == 0
    told = capsys.readouterr().out
    assert "NOT CHECKED" not in told
    assert "the feed's newest advisory is of 2026-11-01T00:00:00Z" in told
    assert "requirements/run.txt: " in told
    assert "package-lock.json: " in told


@pytest.mark.parametrize(("name", "ecosystem"), [("aiohttp", "PyPI"), ("dkfds", "npm")])
def test_what_a_feed_knows_of_a_pin_fails(feed_file, capsys, tmp_path, name, ecosystem):
    kind = "SEMVER" if ecosystem == "npm" else "ECOSYSTEM"
    feed = Feed.read(feed_file(advisory(name, ecosystem=ecosystem, ranges=between({"introduced": "0"}, kind=kind))))
    assert advisories.main(tmp_path / "nothing", feed) == 1
    assert f"{name} " in capsys.readouterr().out


def test_a_feed_that_says_nothing_of_an_ecosystem_has_checked_nothing_of_it(capsys, tmp_path):
    assert advisories.main(tmp_path / "nothing", Feed([advisory(ecosystem="npm")])) == 3
    assert "requirements/run.txt: NOT CHECKED" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "content"), [("x.json", "nonsense"), ("x.json", "[1]"), ("x.json", "{}"), ("x.zip", "x")]
)
def test_what_is_no_feed_is_one_line(project, tmp_path, name, content):
    (tmp_path / name).write_text(content)
    with pytest.raises(NotAFeed, match=str(tmp_path)):
        Feed.read(tmp_path / name)
    ended = subprocess.run(
        [sys.executable, "-m", "tools.advisories", "--feed", str(tmp_path / name)], capture_output=True, text=True,
        cwd=project, timeout=120, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (3, "", 1)
