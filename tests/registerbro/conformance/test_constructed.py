"""Constructed values: of the same form, the same for the same, and nobody's."""

import re
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from domain.cpr import LOOKS_LIKE_CPR, Cpr
from registerbro.conformance.constructed import (
    Constructed,
    day_of,
    is_kept,
    json_value,
    may_be_a_companys,
    replace_in_element,
)
from registerbro.conformance.expectations import Expected, Form

ASKED = Cpr("0102031234")
DAYS = -1000


@pytest.fixture
def made():
    return Constructed(ASKED, b"k" * 32, DAYS)


def shape_of(text):
    return re.sub(r"[a-zæøå]", "a", re.sub(r"[A-ZÆØÅ]", "A", re.sub(r"\d", "0", text)))


@pytest.mark.parametrize(
    "text",
    ["Åse Hansen", "Jobcenter Ærø, Vestergade 14", "<p>Hej, du</p>", "18500.25", "post-alma-1", "a@b.dk", "Hf", ""],
)
def test_a_text_keeps_its_form_and_nothing_else(made, text):
    assert len(made.text(text)) == len(text)
    assert shape_of(made.text(text)) == shape_of(text.replace("Å", "A").replace("Æ", "A").replace("ø", "a"))
    assert not set(re.findall(r"\w{2,}", text)) & set(re.findall(r"\w{2,}", made.text(text)))


def test_the_same_value_stays_the_same_and_different_ones_stay_different(made):
    assert made.text("Åse, ÅSE og åse") == made.text("Åse, ÅSE og åse")
    first, second, third = made.text("Åse ÅSE åse").split()
    assert (first.casefold(), second.casefold()) == (second.casefold(), third.casefold())
    assert len({made.text(f"frist-{n}") for n in range(1, 8)}) == 7
    assert Constructed(ASKED).text("Hansen") != Constructed(ASKED).text("Hansen")


@given(st.text(max_size=60))
def test_no_text_fails(text):
    assert isinstance(Constructed(ASKED, b"k" * 32, DAYS).text(text), str)


def test_dates_move_alike_in_every_form(made):
    moved = date(2020, 2, 29) + timedelta(days=DAYS)
    assert made.text("2020-02-29") == moved.isoformat()
    assert made.text("2020-02-29Z") == f"{moved}Z"
    assert made.text("20200229") == f"{moved:%Y%m%d}"
    assert made.text("202002") == f"{date(2020, 2, 1) + timedelta(days=DAYS):%Y%m}"
    assert made.text("2020-02-29T13:47:12.123456+01:00") == f"{moved}T13:47:00.000000+01:00"
    assert made.text("2020-02-29-13.47.12.123456") == f"{moved}-13.47.00.000000"


@pytest.mark.parametrize("text", ["9999-12-31", "0001-01-01"])
def test_a_day_that_stands_for_none_stays(made, text):
    assert made.text(text) == text


def test_what_only_looks_like_a_day_is_replaced_too(made):
    assert made.text("2020-13-45") != "2020-13-45"


def test_the_citizen_is_as_much_older_as_the_dates_move_and_is_nobody(made):
    assert made.cpr.birth_date == ASKED.birth_date + timedelta(days=DAYS)
    assert made.cpr.is_replacement
    assert made.text(ASKED.digits) == made.cpr.digits
    assert made.text("010203-1234") == f"{made.cpr.digits[:6]}-{made.cpr.digits[6:]}"


@pytest.mark.parametrize("number", ["0304051234", "1013111111", "030405 1234"])
def test_ten_digits_become_a_number_that_no_person_has(made, number):
    (found,) = LOOKS_LIKE_CPR.findall(made.text(number))
    assert Cpr.parse(re.sub(r"\D", "", found)).is_replacement
    assert re.sub(r"\d", "0", found) == re.sub(r"\d", "0", number)


def test_eight_digits_become_a_number_that_no_company_has(made):
    assert may_be_a_companys("10150817")
    for number in ("10150817", "00000001", "99999999"):
        assert not may_be_a_companys(made.text(number))
        assert day_of(made.text(number)) is None


def test_an_identifier_holds_no_digits_any_more(made):
    text = made.text("0A1b2C3d-0123-4567-89ab-0123456789ab")
    assert re.fullmatch(r"[a-f]{8}(-[a-f]{4}){3}-[a-f]{12}", text)


@pytest.mark.parametrize("number", [1000, 12345678, 1234567890, -20000, 20000.5])
def test_a_number_keeps_its_digits_in_number_and_small_ones_stay(made, number):
    assert len(str(made.number(number))) == len(str(number))
    assert made.number(number) != number
    assert type(made.number(number)) is type(number)
    assert [made.number(small) for small in (0, 12, 999, 0.5)] == [0, 12, 999, 0.5]


CONTRACT = Expected(
    "",
    Form.OBJECT,
    fields=(
        Expected("type", Form.TEXT, codes=frozenset({"FGU"})),
        Expected("number", Form.TEXT, keeps=re.compile(r"1\d{4}")),
        Expected("length", Form.DURATION),
        Expected("name", Form.TEXT),
    ),
)


def test_of_json_the_contracts_own_codes_stay_and_every_other_text_goes(made):
    value = {"type": "FGU", "number": "11000", "length": "P1M", "name": "FGU", "ok": True, "none": None, "new": "FGU"}
    found = json_value(made, [value], CONTRACT)[0]
    assert [found[name] for name in ("type", "number", "length", "ok", "none")] == ["FGU", "11000", "P1M", True, None]
    assert "FGU" not in (found["name"], found["new"])


def test_a_code_that_is_not_in_the_list_goes(made):
    found = json_value(made, {"type": "HANSEN", "number": "110001", "length": "Per"}, CONTRACT)
    assert found.keys() == {"type", "number", "length"}
    assert not {"HANSEN", "110001", "Per"} & set(found.values())


def test_a_name_that_is_a_value_goes(made):
    (name,) = json_value(made, {"0102031234": 1}, CONTRACT)
    assert name == made.cpr.digits


def test_a_name_that_is_a_word_of_the_exchange_goes_unless_it_is_the_contracts():
    made = Constructed(ASKED, b"k" * 32, DAYS, frozenset({"hansen", "name"}))
    assert json_value(made, {"name": 1, "new": 1}, CONTRACT).keys() == {"name", "new"}
    (name,) = json_value(made, {"Hansen": 1}, CONTRACT)
    assert name != "Hansen"


def test_of_xml_texts_tails_and_attributes_go(made):
    root = etree.fromstring('<x><name who="Hansen">Hansen</name>Hansen<type>FGU</type><y>Hansen<z/></y></x>')
    replace_in_element(made, root, CONTRACT, {})
    text = etree.tostring(root, encoding="unicode")
    assert "Hansen" not in text
    assert "<type>FGU</type>" in text


def test_nothing_is_the_contracts_own_where_there_is_none():
    assert not is_kept(None, "FGU")
    assert is_kept(None, "")
