"""The rules in force: the file's, anew when it changes; a file that is refused changes nothing, and ends a start."""

import os
from datetime import date

import pytest

from config.settings import SettingsError
from domain.rules import DEFAULT_RULES
from registerbro import rules
from registerbro.rules import CurrentRules, usable
from registerbro.telemetry.metrics import RULES_REFUSALS, RULES_REFUSED

DAY = date(2027, 1, 1)


def content(label):
    return f'[[benefit]]\ntype = "NYT"\nlabel = "{label}"\n'


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "rules.toml"
    path.write_text(content("Ny ydelse"), encoding="utf-8")
    return path


@pytest.fixture
def replace(file):
    """Puts another content in the file's place, as `mv` does."""

    def put(text):
        beside = file.with_name("new.toml")
        beside.write_text(text, encoding="utf-8")
        os.replace(beside, file)

    return put


@pytest.fixture
def clock(monkeypatch):
    """The process's clock; each call of `pass_a_second` lets the file be looked at again."""
    now = [1000.0]
    monkeypatch.setattr(rules.time, "monotonic", lambda: now[0])

    def pass_a_second():
        now[0] += rules.LOOK_EVERY_SECONDS

    return pass_a_second


@pytest.fixture
def current(make_settings, file, clock):
    return CurrentRules(make_settings(RULES_FILE=str(file)))


def label(current):
    return current.now().benefits.at("NYT", DAY)


def test_without_a_file_the_rules_are_the_default_ones(make_settings):
    assert CurrentRules(make_settings()).now() is DEFAULT_RULES


def test_a_file_that_changes_is_in_force_within_a_second_and_without_a_restart(current, replace, clock, logged):
    assert label(current) == "Ny ydelse"
    replace(content("Nyere ydelse"))
    assert label(current) == "Ny ydelse"
    clock()
    assert label(current) == "Nyere ydelse"
    assert [line["event"] for line in logged] == ["rules_reloaded"]


def test_a_file_that_is_refused_leaves_the_rules_of_before_and_is_told_once_with_its_line(
    current, replace, clock, logged, file
):
    before = RULES_REFUSALS._value.get()
    replace(content("Nyere ydelse") + "lable = 3\n")
    for _ in range(3):
        clock()
        assert label(current) == "Ny ydelse"
    (line,) = logged
    assert (line["event"], line["log_level"]) == ("rules_not_reloaded", "error")
    assert line["setting"] == "REGISTERBRO_RULES_FILE"
    assert line["detail"] == f"{file}:4: [[benefit]] has no field 'lable': there are type, label, from, to"
    assert (RULES_REFUSALS._value.get(), RULES_REFUSED._value.get()) == (before + 1, 1)
    replace(content("Nyere ydelse"))
    clock()
    assert label(current) == "Nyere ydelse"
    assert RULES_REFUSED._value.get() == 0


def test_a_file_that_was_moved_away_and_comes_back_is_refused_no_more(current, file, clock, logged):
    away = file.rename(file.with_name("away.toml"))
    file.write_text("[[benefit]]\n", encoding="utf-8")
    clock()
    assert (label(current), RULES_REFUSED._value.get()) == ("Ny ydelse", 1)
    away.replace(file)
    clock()
    assert (label(current), RULES_REFUSED._value.get()) == ("Ny ydelse", 0)
    assert [line["event"] for line in logged] == ["rules_not_reloaded"]


def test_a_file_that_is_gone_leaves_the_rules_of_before(current, file, clock, logged):
    file.unlink()
    clock()
    assert label(current) == "Ny ydelse"
    assert [line["detail"] for line in logged] == ["cannot be read: No such file or directory"]


def test_a_file_that_is_refused_at_the_start_is_one_line_that_names_setting_file_and_line(make_settings, file):
    file.write_text(content("Ny ydelse") + "to = 2027-02-30\n", encoding="utf-8")
    with pytest.raises(SettingsError) as refused:
        usable(make_settings(RULES_FILE=str(file)))
    assert str(refused.value) == f"REGISTERBRO_RULES_FILE: {file}:4: this is no TOML: Invalid date or datetime"


def test_a_file_that_is_not_there_at_the_start_is_one_line(make_settings, tmp_path):
    with pytest.raises(SettingsError) as refused:
        usable(make_settings(RULES_FILE=str(tmp_path / "none.toml")))
    assert str(refused.value) == "REGISTERBRO_RULES_FILE: cannot be read: No such file or directory"
