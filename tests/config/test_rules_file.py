"""A rules file is taken whole, or refused with the line of what is wrong."""

from dataclasses import fields
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.rules_file import LONGEST_FILE, RulesFileError, parse, to_text
from domain.rules import DEFAULT_RULES

LAW = """\
# Group 12 ends with 2026, and group 40 begins.
[[target_group]]
from = 2023-03-13
to = 2026-12-31

[[target_group.group]]
code = 1
under_age = 25
education_order = true

[[target_group.group]]
code = 12 # »uddannelseshjælp«

[[target_group]]
from = 2027-01-01
  [[target_group.group]]
  code = 40

[[contact_group]]
code = 40
name = "Unge uden \\"uddannelse\\""
from = 2027-01-01

[[benefit]]
type = "KONTANTHJAELP"
label = "Kontanthjælp"
to = 2026-12-31

[[benefit]]
type = "KONTANTHJAELP"
label = 'Grundydelse'
from = 2027-01-01

[[income_type]]
code = 2
work = true
"""
EVENING, MORNING = date(2026, 12, 31), date(2027, 1, 1)


def refused(text):
    with pytest.raises(RulesFileError) as it:
        parse(text.encode() if isinstance(text, str) else text)
    assert "\n" not in str(it.value)
    return str(it.value)


def rows(rules):
    return {field.name: getattr(rules, field.name).rows for field in fields(rules)}


def test_each_table_has_what_the_file_says_on_each_day():
    rules = parse(LAW.encode())
    before, after = (rules.target_group.at("target group", day) for day in (EVENING, MORNING))
    assert [(one.group, one.under_age, one.education_order) for one in before] == [(1, 25, True), (12, None, False)]
    assert [one.group for one in after] == [40]
    assert [rules.contact_groups.at(40, day) is None for day in (EVENING, MORNING)] == [True, False]
    assert rules.contact_groups.at(40, MORNING).name == 'Unge uden "uddannelse"'
    assert [rules.benefits.at("KONTANTHJAELP", day) for day in (EVENING, MORNING)] == ["Kontanthjælp", "Grundydelse"]
    assert rules.income_types.at(2, EVENING) is True


def test_what_the_file_does_not_speak_of_stays_the_default():
    rules = parse(LAW.encode())
    assert rules.benefits.at("DAGPENGE", MORNING) == "Arbejdsløshedsdagpenge"
    assert rules.contact_groups.at(7, MORNING).closes_cv
    assert rules.income_types.at(0, MORNING) is True
    assert rows(parse(b"# nothing yet\n")) == rows(DEFAULT_RULES)


def test_a_file_that_is_written_is_read_as_the_same_rules():
    for rules in (DEFAULT_RULES, parse(LAW.encode())):
        assert rows(parse(to_text(rules).encode())) == rows(rules)


@pytest.mark.parametrize("text", [LAW.replace("\n", "\r\n"), "\ufeff" + LAW], ids=["CRLF", "byte order mark"])
def test_a_file_of_another_editor_is_the_same(text):
    assert rows(parse(text.encode())) == rows(parse(LAW.encode()))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("from = 2027-01-01\n  [[", "from = 2027-01-02\n  [[",
         "14: [[target_group]]: a gap: it holds from 2027-01-02, and the one before it only until 2026-12-31"),
        ("from = 2027-01-01\n  [[", "from = 2026-12-31\n  [[",
         "14: [[target_group]]: an overlap: it holds from 2026-12-31, and the one before it until 2026-12-31"),
        ("from = 2027-01-01\n  [[", "from = 2027-01-01\nto = 2027-12-31\n  [[",
         "14: [[target_group]]: a gap: nothing is in force after 2027-12-31"),
        ("to = 2026-12-31\n\n[[target", "\n\n[[target",
         "14: [[target_group]]: an overlap: it holds from 2027-01-01, and the one before it has no last day"),
        ("from = 2023-03-13", "from = 2024-01-01",
         "3: a gap: nothing is in force before 2024-01-01, and the default begins on 2023-03-13"),
        ("code = 12 # ", "code = 1 # ", "11: an overlap: contact group 1 stands in this rule already"),
        ("  [[target_group.group]]\n  code = 40\n", "",
         "14: this rule has no [[target_group.group]], so the target group would be empty"),
        ("from = 2027-01-01\n\n[[income", "from = 2027-02-01\n\n[[income",
         "29: [[benefit]] KONTANTHJAELP: a gap: it holds from 2027-02-01, and the one before it only until 2026-12-31"),
        ("to = 2026-12-31\n\n[[benefit", "\n\n[[benefit",
         "29: [[benefit]] KONTANTHJAELP: an overlap: it holds from 2027-01-01, and the one before it has no last day"),
        ('label = "Kontanthjælp"\nto', 'label = "Kontanthjælp"\nfrom = 2025-07-01\nto',
         "27: a gap: nothing is in force before 2025-07-01, and the default has no first day"),
        ("under_age = 25", "under = 25",
         "8: [[target_group.group]] has no field 'under': there are code, under_age, education_order"),
        ("under_age = 25", "under_age = true", "8: under_age is no age in years"),
        ("education_order = true", "education_order = 1", "9: education_order is neither true nor false"),
        ("from = 2023-03-13", 'from = "2023-03-13"', "3: from is no day, written without quotes as 2027-01-01"),
        ("from = 2023-03-13", "from = 2023-03-13T00:00:00", "3: from is no day, written without quotes as 2027-01-01"),
        ("from = 2023-03-13", "from = 2023-02-29", "3: this is no TOML: Invalid date or datetime"),
        ("to = 2026-12-31\n\n[[target", "to = 2022-12-31\n\n[[target",
         "2: [[target_group]]: it ends on 2022-12-31, before it begins on 2023-03-13"),
        ("[[income_type]]", "[[income_types]]",
         "34: there is no table [[income_types]]: there are target_group, target_group.group, contact_group, "),
        ("[[income_type]]", "[income_type]",
         "34: a row begins with its table's name in two brackets, as in [[benefit]]"),
        ("work = true\n", "", "34: this [[income_type]] has no work"),
        ("work = true\n", "work = yes\n", "36: this is no TOML: Invalid value"),
        ("work = true\n", "work = true\nwork = false\n", "37: this is no TOML: Cannot overwrite a value"),
        ("code = 2\n", "code = -2\n", "35: code is no whole number of at most nine digits"),
        ("label = 'Grundydelse'", "label = ' Grundydelse'",
         "31: label is no text in quotes, or has white space around it"),
        ("label = 'Grundydelse'", 'label = "Grund\\u202eydelse"',
         "31: label has the control or invisible character U+202E at position 5"),
        ("label = 'Grundydelse'", f"label = '{'x' * 201}'", "31: label has 201 characters, and at most 200 may be"),
        ("label = 'Grundydelse'", 'label = """\n[[benefit]]\n"""', "29: a field's value stands on one line"),
        ("# Group 12", "name = 1\n# Group 12", "1: this stands in no row: a row begins as [[benefit]] does"),
        ("# Group 12", "benefit = [{type = 'A', label = 'B'}]\n# Group 12",
         "25: this is no TOML: Cannot mutate immutable "),
        ("# Group 12", "[[target_group.group]]\ncode = 12\n# Group 12", "4: this is no TOML: Cannot overwrite"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(old, new, told):
    assert LAW.count(old) >= 1
    assert refused(LAW.replace(old, new, 1)).startswith(told)


def test_a_group_before_every_rule_is_told():
    assert refused("[[target_group.group]]\ncode = 12\n") == (
        "1: this group stands in no rule: a [[target_group]] comes before it"
    )


def test_what_is_no_text_is_told_with_its_line():
    assert refused(b"# a\n# \xe6\n") == "2: the file is not UTF-8"
    assert refused(b"[[benefit]]\ntype = 'A'\nlabel = [") == "3: this is no TOML: Invalid value"
    assert refused(f"\na = {'9' * 5000}") == "2: the line has 5004 characters, and at most 1000 are read"
    assert refused("# a\nx = " + "[\n" * 20_000).startswith("1: this is no TOML: ")
    assert refused(b"x" * (LONGEST_FILE + 1)).startswith("1: the file has 1048577 bytes, and at most")


@given(st.text(max_size=200) | st.lists(st.sampled_from(LAW.splitlines(keepends=True)), max_size=40).map("".join))
def test_whatever_is_read_gives_rules_or_one_line_that_begins_with_a_number(text):
    refusal, rules = None, DEFAULT_RULES
    try:
        rules = parse(text.encode("utf-8", "surrogatepass"))
    except RulesFileError as error:
        refusal = error
    assert refusal is None or str(refusal).partition(":")[0] == str(refusal.line)
    assert refusal is None or 1 <= refusal.line <= text.count("\n") + 1
    assert rules.target_group.at("target group", date(2023, 3, 13))
    assert rules.target_group.at("target group", date(2099, 1, 1))
