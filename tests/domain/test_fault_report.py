"""Fault reports are counted as a browser counts, and stored whole or refused (R9)."""

import json
import pickle
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.fault_report import (
    LIMIT,
    FaultReportControlCharacter,
    FaultReportEmpty,
    FaultReportError,
    FaultReportTooLong,
    FaultReportUnpairedSurrogate,
    clean,
    length,
    validate,
)

SHARED = json.loads(Path(__file__).with_name("fault_report_cases.json").read_text(encoding="utf-8"))


def written_out(text):
    if isinstance(text, dict):
        return text.get("prefix", "") + text["repeat"] * text["times"] + text["suffix"]
    return text


def cases(*, accepted):
    return pytest.mark.parametrize(
        "case",
        [pytest.param(case, id=case["name"]) for case in SHARED["cases"] if (case["verdict"] == "ok") is accepted],
    )


def verdict(text):
    try:
        validate(text)
    except FaultReportError as error:
        return error.reason
    return "ok"


def refusal_of(text):
    try:
        validate(text)
    except FaultReportError as error:
        return str(error)
    return ""


def test_the_shared_cases_are_about_this_limit():
    assert SHARED["limit"] == LIMIT == 500


def test_the_shared_cases_have_names_of_their_own():
    names = [case["name"] for case in SHARED["cases"]]
    assert len(set(names)) == len(names)


@cases(accepted=True)
def test_an_accepted_text_is_stored_as_the_shared_case_says(case):
    stored = validate(written_out(case["text"]))
    assert stored == written_out(case["stored"])
    assert length(stored) == case["length"]


@cases(accepted=False)
def test_a_refused_text_is_refused_for_the_reason_of_the_shared_case(case):
    text = written_out(case["text"])
    assert verdict(text) == case["verdict"]
    assert length(clean(text)) == case["length"]


@pytest.mark.parametrize(
    ("text", "units"), [("", 0), ("a", 1), ("æ", 1), ("\n", 1), ("e\u0301", 2), ("😀", 2), ("\ud83d", 1), ("\uffff", 1)]
)
def test_a_character_is_a_utf_16_code_unit(text, units):
    assert length(text) == units


def test_a_text_that_is_too_long_is_told_its_length_the_limit_and_the_excess():
    with pytest.raises(FaultReportTooLong, match=r"503.* 3 .*500") as caught:
        validate("😀" * 251 + "a")
    assert (caught.value.length, caught.value.limit, caught.value.excess) == (503, 500, 3)


@pytest.mark.parametrize(
    ("text", "refusal", "code_point", "position", "told"),
    [
        ("a\x00b", FaultReportControlCharacter, 0x0, 1, "control character U+0000 at position 1"),
        ("  \r\n😀\r\n\x07", FaultReportControlCharacter, 0x7, 3, "control character U+0007 at position 3"),
        ("a\x85", FaultReportControlCharacter, 0x85, 1, "control character U+0085 at position 1"),
        ("\ud83da", FaultReportUnpairedSurrogate, 0xD83D, 0, "unpaired surrogate U+D83D at position 0"),
        (" 😀\ude00", FaultReportUnpairedSurrogate, 0xDE00, 2, "unpaired surrogate U+DE00 at position 2"),
    ],
)
def test_a_refused_character_is_named_by_code_point_and_position(text, refusal, code_point, position, told):
    with pytest.raises(refusal) as caught:
        validate(text)
    assert (caught.value.code_point, caught.value.position) == (code_point, position)
    assert str(caught.value) == f"the text has the {told}"


@pytest.mark.parametrize(
    "error",
    [
        FaultReportEmpty(),
        FaultReportTooLong(503),
        FaultReportControlCharacter(7, 12),
        FaultReportUnpairedSurrogate(0xD83D, 0),
    ],
    ids=lambda error: error.reason,
)
def test_a_refusal_survives_the_way_between_processes(error):
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)


def test_a_refusal_holds_what_it_was_made_of():
    assert FaultReportTooLong(503).args == (503, 500)
    assert FaultReportControlCharacter(7, 12).args == (7, 12)


EVERY_CHARACTER = [chr(code_point) for code_point in range(0x110000)]


def test_exactly_the_white_space_of_ecmascript_is_trimmed():
    separators = {character for character in EVERY_CHARACTER if unicodedata.category(character) == "Zs"}
    trimmed = {character for character in EVERY_CHARACTER if not clean(character)}
    assert trimmed == separators | set("\t\n\v\f\r\u2028\u2029\ufeff")


def test_exactly_the_control_characters_but_tab_and_line_breaks_are_refused_within_a_text():
    controls = {character for character in EVERY_CHARACTER if unicodedata.category(character) == "Cc"}
    refused = {character for character in EVERY_CHARACTER if verdict(f"a{character}a") == "control_character"}
    assert refused == controls - set("\t\n\r")


def test_exactly_the_surrogates_are_refused_as_unpaired():
    refused = {character for character in EVERY_CHARACTER if verdict(f"a{character}a") == "unpaired_surrogate"}
    assert refused == set(map(chr, range(0xD800, 0xE000)))


any_character = st.characters(exclude_categories=())
telling = st.sampled_from(["\r\n", "\r", "\n", " ", "\ufeff", "\u00a0", "\u2028", "\x00", "\x85", "😀", "\ud83d", "æ"])
any_text = st.lists(any_character | telling, max_size=60).map("".join)
long_text = st.builds(lambda part, times: part * times, any_text, st.integers(0, 40))
sendable_text = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\t\n\r "), max_size=600)


@given(any_text)
def test_length_counts_as_javascript_does(text):
    assert length(text) == len(text.encode("utf-16-le", "surrogatepass")) // 2


@given(any_text)
def test_cleaning_twice_is_cleaning_once(text):
    assert clean(clean(text)) == clean(text)


@given(any_text)
def test_cleaning_leaves_no_carriage_return(text):
    assert "\r" not in clean(text)


@given(any_text)
def test_cleaning_takes_only_from_the_ends(text):
    assert clean(text) in text.replace("\r\n", "\n").replace("\r", "\n")


@given(sendable_text.filter(lambda text: verdict(text) == "ok"))
def test_a_stored_text_is_whole_and_is_stored_again_unchanged(text):
    stored = validate(text)
    assert stored == clean(text)
    assert validate(stored) == stored
    assert 1 <= length(stored) <= LIMIT


@given(sendable_text, st.integers(LIMIT - 3, LIMIT + 3))
def test_a_text_is_refused_exactly_when_it_is_empty_or_over_the_limit(text, units):
    filled = text + "x" * (units - length(clean(text)))
    reasons = {True: "too_long", False: "ok"}
    assert verdict(filled) == reasons[length(clean(filled)) > LIMIT]


SAID = re.compile(
    r"|the text is empty"
    r"|the text is \d+ characters long, which is \d+ more than the limit of 500"
    r"|the text has the (control character|unpaired surrogate) U\+[0-9A-F]{4} at position \d+"
)


@given(any_text | long_text)
def test_any_text_is_stored_or_refused_and_the_refusal_holds_nothing_of_it(text):
    assert SAID.fullmatch(refusal_of(text))
