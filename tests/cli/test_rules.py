"""`registerbro rules`: the rules by day, a file to begin from, and whom a file would take in and out."""

import json
import os
import subprocess
import sys
from datetime import timedelta

import pytest

from config.rules_file import parse
from domain.citizen import Citizen
from domain.cpr import Cpr
from domain.rules import DEFAULT_RULES
from domain.service_windows import danish_today

TODAY = danish_today()
LATER = TODAY + timedelta(days=32)
LAW = f"""\
[[target_group]]
to = {LATER - timedelta(days=1)}
[[target_group.group]]
code = 12

[[target_group]]
from = {LATER}
[[target_group.group]]
code = 40
under_age = 30
[[target_group.group]]
code = 7
"""
BAD = LAW.replace("under_age", "age")
TOLD = "10: [[target_group.group]] has no field 'age': there are code, under_age, education_order"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "rules.toml"
    path.write_text(LAW, encoding="utf-8")
    return path


@pytest.fixture
def bad(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text(BAD, encoding="utf-8")
    return path


async def know(services, number, groups, *, standing=True, education_order=False):
    cpr = Cpr.parse(f"610299{number:04}")
    citizen_id = await services.citizens.remember(cpr)
    if standing:
        await services.citizens.remember_standing(citizen_id, Citizen(cpr, frozenset(groups), education_order))


@pytest.fixture
async def known(services):
    """Five in group 12, two in group 7, one in both, one in a group that nothing knows, one without a standing."""
    for number, groups in enumerate([*[[12]] * 5, *[[7]] * 2, [7, 12], [99]]):
        await know(services, 1000 + number, groups)
    await know(services, 2000, [], standing=False)


def test_the_rules_are_a_table_with_their_days(registerbro):
    ended = registerbro("rules")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith(f"rules: default; no change after {TODAY} is known\n")
    for text in (
        "under 25 and uddannelsespålæg",
        "2023-03-13",
        "Modtager af uddannelseshjælp",
        "2025-06-30",
        "BARSELS",
    ):
        assert text in ended.stdout


def test_as_json_each_row_says_whether_it_is_in_force_on_the_day(registerbro, file):
    before, after = (
        json.loads(registerbro("rules", "--json", "--day", str(day), RULES_FILE=str(file)).stdout)
        for day in (LATER - timedelta(days=1), LATER)
    )
    assert (before["source"], before["day"]) == (str(file), str(LATER - timedelta(days=1)))
    assert [rule["in_force"] for rule in before["target_group"]] == [True, False]
    assert [rule["in_force"] for rule in after["target_group"]] == [False, True]
    assert after["target_group"][1] == {
        "from": str(LATER), "to": None, "in_force": True,
        "groups": [
            {"code": 40, "under_age": 30, "education_order": False},
            {"code": 7, "under_age": None, "education_order": False},
        ],
    }  # fmt: skip
    assert len(after["benefits"]) == len(DEFAULT_RULES.benefits.rows)


def test_a_template_is_a_file_with_the_rules_in_force(registerbro, file):
    for settings in ({}, {"RULES_FILE": str(file)}):
        found = parse(registerbro("rules", "template", **settings).stdout.encode())
        in_force = parse(file.read_bytes()) if settings else DEFAULT_RULES
        assert found.target_group.rows == in_force.target_group.rows
        assert found.benefits.rows == in_force.benefits.rows


def test_a_dry_run_counts_whom_the_file_takes_in_and_out_on_the_day(registerbro, file, known):
    ended = registerbro("rules", "check", str(file), "--day", str(LATER), "--json")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert json.loads(ended.stdout) == {
        "file": str(file), "day": str(LATER), "known": 9, "not_known": 1,
        "in_target_group": {"today": 6, "on_day": 6, "on_day_with_file": 3},
        "with_file": {"come_in": 2, "go_out": 5}, "since_today": {"come_in": 2, "go_out": 5},
        "unknown_contact_groups": {"99": 1},
    }  # fmt: skip


def test_the_day_before_the_file_changes_nothing(registerbro, file, known):
    found = json.loads(registerbro("rules", "check", str(file), "--json").stdout)
    assert found["with_file"] == {"come_in": 0, "go_out": 0}


def test_a_file_that_is_in_force_is_counted_against_today(registerbro, file, known):
    ended = registerbro("rules", "check", str(file), "--day", str(LATER), "--json", RULES_FILE=str(file))
    found = json.loads(ended.stdout)
    assert (found["with_file"], found["since_today"]) == (
        {"come_in": 0, "go_out": 0}, {"come_in": 2, "go_out": 5},
    )  # fmt: skip


def test_a_dry_run_is_told_in_words_and_names_nobody(registerbro, file, known):
    told = registerbro("rules", "check", str(file), "--day", str(LATER)).stdout
    assert told.splitlines() == [
        f"{file}: accepted; no change after {LATER} is known",
        "known citizens: 9; 1 more whose contact groups are not known",
        "in the target group today: 6",
        f"in the target group on {LATER}: 6 by the rules in force, 3 with this file",
        f"with this file, on {LATER}: 2 come in, 5 go out",
        f"from today to {LATER}: 2 come in, 5 go out",
        f"contact group 99 is not known to this file on {LATER}: 1 citizens are in it",
    ]


async def test_a_citizen_with_two_ids_is_counted_once(registerbro, file, services):
    from registerbro.storage.cache.citizens import Citizens

    await know(services, 1000, [12])
    older = Citizens(services.cache, services.sealer, lambda: (b"a former pepper",), timedelta(days=1))
    cpr = Cpr.parse("6102991000")
    await older.remember_standing(await older.remember(cpr), Citizen(cpr, frozenset({12}), education_order=False))
    assert json.loads(registerbro("rules", "check", str(file), "--json").stdout)["known"] == 1


def test_a_file_that_is_refused_is_one_line_with_its_line(registerbro, bad):
    ended = registerbro("rules", "check", str(bad))
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", f"registerbro: {bad}:{TOLD}\n")


def test_a_file_that_is_not_there_is_one_line(registerbro, tmp_path):
    ended = registerbro("rules", "check", str(tmp_path / "none"))
    assert (ended.returncode, ended.stderr) == (
        1, f"registerbro: {tmp_path / 'none'}: cannot be read: No such file or directory\n",
    )  # fmt: skip


def test_what_is_to_replace_a_refused_file_can_be_tried(registerbro, file, bad):
    ended = registerbro("rules", "check", str(file), RULES_FILE=str(bad))
    assert ended.returncode == 0
    assert (
        ended.stderr == f"registerbro: REGISTERBRO_RULES_FILE: {bad}:{TOLD}: compared with the default rules instead\n"
    )


@pytest.mark.parametrize(
    "arguments",
    [["rules"], ["rules", "template"], ["refresh", "--contact-group", "12"]],
)
def test_a_command_that_goes_by_the_rules_ends_with_one_line_where_the_file_is_refused(registerbro, bad, arguments):
    ended = registerbro(*arguments, RULES_FILE=str(bad))
    assert ended.returncode == 2
    assert ended.stderr == f"registerbro: REGISTERBRO_RULES_FILE: {bad}:{TOLD}\n"


@pytest.mark.parametrize(
    "arguments", [["status"], ["breaker", "udb", "force-open", "--reason", "x"], ["keys", "reseal"], ["page"]]
)
def test_a_command_that_needs_no_rules_is_not_kept_from_its_work(registerbro, bad, arguments):
    ended = registerbro(*arguments, RULES_FILE=str(bad))
    assert (ended.returncode, ended.stderr) == (0, "")


def test_without_the_cache_the_file_is_told_to_be_accepted_and_nobody_is_counted(registerbro, file):
    ended = registerbro("rules", "check", str(file), CACHE_URL="redis://127.0.0.1:1/0")
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"registerbro: {file} is accepted, but the citizens are not counted: ")


@pytest.mark.parametrize(
    "command",
    [
        ["cli.app", "serve", "--port", "1"],
        ["celery", "-A", "workers.app", "worker", "-Q", "su,su.bulk"],
        ["celery", "-A", "workers.app", "beat"],
    ],
    ids=["portal", "worker", "beat"],
)
def test_a_process_that_starts_with_a_file_that_is_refused_ends_with_one_line(make_settings, bad, command, project):
    make_settings(
        RULES_FILE=str(bad), JWKS_URL="https://127.0.0.1:9/jwks", JWT_ISSUER="x", JWT_AUDIENCE="y",
        SU__BASE_URL="http://127.0.0.1:9",
    )  # fmt: skip
    ended = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=project,
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode != 0
    lines = [line for line in ended.stderr.splitlines() if line.startswith("registerbro: ")]
    assert lines == [f"registerbro: REGISTERBRO_RULES_FILE: {bad}:{TOLD}"]
    assert "Traceback" not in ended.stderr
