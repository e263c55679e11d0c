"""CPR numbers are read strictly and never shown (R11).

A valid number here has a day of 61–91, or a date of birth in 2038 or later, so that none can be a real person.
"""

import tomllib
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.cpr import LOOKS_LIKE_CPR, Cpr, InvalidCpr

NUMBER = "6101701234"
PROJECT = Path(__file__).resolve().parents[2]
ROOMS = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["root_packages"]


@pytest.mark.parametrize("text", ["6101701234", "610170-1234"])
def test_ten_digits_are_read_with_or_without_a_hyphen(text):
    cpr = Cpr.parse(text)
    assert cpr.digits == NUMBER
    assert cpr.birth_date == date(1970, 1, 1)


@pytest.mark.parametrize(
    ("text", "year"),
    [
        ("6101000000", 1900),
        ("6101990000", 1999),
        ("6101003999", 1900),
        ("6101993999", 1999),
        ("6101004000", 2000),
        ("6101364999", 2036),
        ("6101374000", 1937),
        ("6101994999", 1999),
        ("6101005000", 2000),
        ("6101575000", 2057),
        ("6101585000", 1858),
        ("6101995000", 1899),
        ("6101008999", 2000),
        ("6101578999", 2057),
        ("6101588999", 1858),
        ("6101998999", 1899),
        ("6101009000", 2000),
        ("6101369999", 2036),
        ("6101379000", 1937),
        ("6101999999", 1999),
    ],
)
def test_the_century_follows_from_the_seventh_digit(text, year):
    assert Cpr.parse(text).birth_date == date(year, 1, 1)


@pytest.mark.parametrize(
    ("text", "born"),
    [
        ("6101704000", date(1970, 1, 1)),
        ("9101704000", date(1970, 1, 31)),
        ("9004704000", date(1970, 4, 30)),
        ("8902004000", date(2000, 2, 29)),
    ],
)
def test_a_replacement_number_is_valid_with_its_day_less_60(text, born):
    assert Cpr.parse(text).birth_date == born


@pytest.mark.parametrize(
    ("text", "born"),
    [("0101505000", date(2050, 1, 1)), ("3112505000", date(2050, 12, 31)), ("290252-5000", date(2052, 2, 29))],
)
def test_an_ordinary_number_is_valid(text, born):
    assert Cpr.parse(text).birth_date == born


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("0001505000", id="day 0"),
        pytest.param("3201505000", id="day 32"),
        pytest.param("6001505000", id="day 60, which would be day 0 of a replacement number"),
        pytest.param("9201505000", id="day 92, which would be day 32 of a replacement number"),
        pytest.param("6100701234", id="month 0"),
        pytest.param("6113701234", id="month 13"),
        pytest.param("3104505000", id="31 April"),
        pytest.param("9104701234", id="31 April of a replacement number"),
        pytest.param("8902000000", id="29 February 1900, which was no leap year though 2000 was"),
        pytest.param("290250-5000", id="29 February in a year without one"),
    ],
)
def test_a_date_that_does_not_exist_is_refused(text):
    with pytest.raises(InvalidCpr, match="no such date"):
        Cpr.parse(text)


@pytest.mark.parametrize("text", ["0000000000", "000000-0000"])
def test_the_unknown_person_is_refused(text):
    with pytest.raises(InvalidCpr, match="unknown person"):
        Cpr.parse(text)


@pytest.mark.parametrize("text", ["", "610170123", "61017012345", "610170-123", "610170-", "610170-12345"])
def test_another_length_is_refused(text):
    with pytest.raises(InvalidCpr, match="length"):
        Cpr.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("61017012a4", id="letter"),
        pytest.param(" 6101701234", id="space before"),
        pytest.param("6101701234 ", id="space after"),
        pytest.param("6101701234\n", id="line break after"),
        pytest.param("610170 1234", id="space in place of the hyphen"),
        pytest.param("610170--1234", id="two hyphens"),
        pytest.param("61017-01234", id="hyphen after five"),
        pytest.param("6101701-234", id="hyphen after seven"),
        pytest.param("-6101701234", id="hyphen in front"),
        pytest.param("-610170123", id="minus in place of a digit"),
        pytest.param("610170‐1234", id="typographic hyphen"),
        pytest.param("٦١٠١٧٠١٢٣٤", id="Arabic-Indic digits"),
        pytest.param("６１０１７０１２３４", id="full-width digits"),
        pytest.param("610170123²", id="superscript digit"),
        pytest.param("610170123\x00", id="NUL"),
        pytest.param("610170123\ud83d", id="unpaired surrogate"),
    ],
)
def test_other_characters_are_refused(text):
    with pytest.raises(InvalidCpr, match="characters"):
        Cpr.parse(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("61017012a4", "characters: only ASCII digits may occur, and one hyphen after the sixth"),
        ("610170123", "length: a CPR number has ten digits"),
        ("0000000000", "unknown person: this number stands for nobody"),
        ("9104701234", "no such date: the first six digits are not a day of the calendar"),
    ],
)
def test_a_refusal_says_what_is_wrong(text, said):
    with pytest.raises(InvalidCpr) as caught:
        Cpr.parse(text)
    assert str(caught.value) == said


@pytest.mark.parametrize("digits", ["610170-1234", "610170123", "9104701234", "0000000000"])
def test_the_constructor_refuses_what_is_no_number_too(digits):
    with pytest.raises(InvalidCpr):
        Cpr(digits)


def test_two_spellings_are_equal_and_hash_alike():
    assert {Cpr.parse("6101701234"), Cpr.parse("610170-1234")} == {Cpr.parse("6101701234")}


def test_two_numbers_of_the_same_date_differ():
    assert Cpr.parse("6101701234") != Cpr.parse("6101701235")


def test_a_number_never_changes():
    with pytest.raises(AttributeError):
        Cpr.parse(NUMBER).digits = "6101701235"


@pytest.mark.parametrize(
    "show",
    [repr, str, "{}".format, "{!r}".format, lambda cpr: "%s" % cpr, lambda cpr: str([cpr])],  # noqa: UP031
)
def test_no_way_of_printing_shows_the_number(show):
    assert show(Cpr.parse(NUMBER)).strip("[]") == "Cpr(…)"


@pytest.mark.parametrize("text", ["9104701234", "61017012a4", "610170-12345", "0000000000"])
def test_neither_the_error_nor_what_caused_it_holds_the_number(text):
    with pytest.raises(InvalidCpr) as caught:
        Cpr.parse(text)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert not _digits_in(str(caught.value.args))


def _digits_in(text):
    return [character for character in text if character.isdigit()]


days = st.dates(date(1900, 1, 1), date(1999, 12, 31))
serials = st.integers(0, 3999).map("{:04}".format)


def replacement_number(born, serial, hyphen):
    return f"{born.day + 60}{born:%m%y}{hyphen}{serial}"


@given(days, serials)
def test_every_serial_of_every_day_is_valid_without_modulus_11(born, serial):
    assert Cpr.parse(replacement_number(born, serial, "")).birth_date == born


@given(days, serials)
def test_both_spellings_are_one_number(born, serial):
    plain, hyphenated = (Cpr.parse(replacement_number(born, serial, hyphen)) for hyphen in ("", "-"))
    assert plain == hyphenated
    assert hash(plain) == hash(hyphenated)
    assert plain.digits == hyphenated.digits


almost_numbers = st.from_regex(r"\A[\d\-\s]{8,13}\Z")
ten_ascii_digits = st.text("0123456789", min_size=10, max_size=10)


def _told_about(text):
    try:
        return repr(Cpr.parse(text))
    except InvalidCpr as error:
        return repr((error, error.args, error.__context__, error.__cause__))


@given(st.one_of(st.text(st.characters(exclude_categories=())), almost_numbers, ten_ascii_digits))
def test_any_text_is_a_number_or_an_invalid_one_and_neither_tells_its_digits(text):
    assert not _digits_in(_told_about(text))


@pytest.mark.parametrize(
    "text",
    [
        "0102031234",
        "010203-1234",
        "010203 1234",
        "010203\u00a01234",
        "010203%2D1234",
        "010203%2d1234",
        "010203%201234",
        "/borger/010203 1234?x=1",
        "cpr=0102031234.",
        "9999999999",
    ],
)
def test_every_spelling_that_a_reader_would_take_for_a_number_looks_like_one(text):
    assert LOOKS_LIKE_CPR.search(text)


@pytest.mark.parametrize(
    "text",
    [
        "6f9619ff-8b86-4d01-b42d-00cf4fc964ff",
        "12345678-1234-4234-8234-123456789012",
        "2026-11-23T07:36:00Z",
        "2026-11-23 07:36:00.123456+02:00",
        "1763883360123",
        "01020312345",
        "10102031234",
        "010203--1234",
        "010203  1234",
        "01020-31234",
        "010203-12345",
        "",
    ],
)
def test_ids_timestamps_and_longer_numbers_do_not_look_like_one(text):
    assert not LOOKS_LIKE_CPR.search(text)


@given(days, serials)
def test_every_number_looks_like_one_in_both_spellings(born, serial):
    assert all(LOOKS_LIKE_CPR.fullmatch(replacement_number(born, serial, hyphen)) for hyphen in ("", "-", " "))


def test_the_pattern_has_one_definition():
    """A second one would let through in one place what another refuses."""
    sources = [path for path in PROJECT.glob("*/**/*.py") if path.relative_to(PROJECT).parts[0] in ROOMS]
    assert {path.name for path in sources if r"\d{6}" in path.read_text(encoding="utf-8")} == {"cpr.py"}
