"""The benefits of overview 3: their labels, what merges, and in what order they are shown (R2, R4, R5, R8)."""

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.dated_tables import Row, Table
from domain.overview import Benefit, Item, LeftOut, Normalised, UnknownValue, sections_of
from domain.rules import DEFAULT_RULES
from registerbro.upstreams.errors import InvalidResponse
from registerbro.upstreams.messages import validated
from workers.ydelse.normalise import UNKNOWN_BENEFIT, normalise
from workers.ydelse.wire import YdelseSvar

HELP, CASH = "UDDANNELSESHJAELP", "KONTANTHJAELP"
TODAY = date.max
"""No period of most tests is to begin."""


def benefit(start: str, end: str | None, kind: str = HELP, *, job: bool | None = False) -> dict[str, object]:
    return {
        "civilRegistrationIdentifier": "6102991234",
        "kyYdelsesIdentifier": "b1a7",
        "startdato": start,
        "slutdato": end,
        "ydelsestype": kind,
        "samtidigJob": job,
    }


def answer_of(*items: dict[str, object]) -> YdelseSvar:
    return validated(YdelseSvar, {"ydelser": {"ydelse": list(items)}})


def bare(start: str, end: str | None, **more: object) -> dict[str, object]:
    return {"civilRegistrationIdentifier": "6102991234", "startdato": start, "slutdato": end, **more}


def shown(*items: dict[str, object], today: date = TODAY) -> list[Item]:
    return list(normalise(answer_of(*items), today).sections["benefits"])


def line(start: str, end: str | None, kind: str = HELP, *, job: bool | None = False) -> Benefit:
    return Benefit(
        type=DEFAULT_RULES.benefits.at(kind, date.fromisoformat(start)) or kind,
        start=date.fromisoformat(start),
        end=date.fromisoformat(end) if end else None,
        concurrent_job=job,
    )


@pytest.mark.parametrize("answer", [None, answer_of()], ids=["unknown person", "no benefit"])
def test_no_data_leaves_the_section_empty(answer: YdelseSvar | None) -> None:
    assert normalise(answer, TODAY) == Normalised({"benefits": []})


def test_the_section_is_the_one_of_the_register() -> None:
    assert normalise(None, TODAY).sections.keys() == {section.id for section in sections_of("ydelse")}


@pytest.mark.parametrize(
    ("code", "label"),
    [
        ("UDDANNELSESHJAELP", "Uddannelseshjælp"),
        ("KONTANTHJAELP", "Kontanthjælp"),
        ("DAGPENGE", "Arbejdsløshedsdagpenge"),
        ("SYGEDAGPENGE", "Sygedagpenge"),
        ("OVERGANGSYDELSE", "Selvforsørgelses- og hjemrejseydelse eller overgangsydelse"),
        ("RESSOURCEFORLOEB", "Ressourceforløbsydelse"),
        ("REVALIDERING", "Revalideringsydelse"),
        ("LEDIGHEDSYDELSE", "Ledighedsydelse"),
        ("JOBAFKLARING", "Jobafklaringsydelse"),
        ("BARSELSDAGPENGE", "Barselsdagpenge"),
    ],
)
@pytest.mark.parametrize("job", [False, True])
def test_a_benefit_is_shown_with_the_label_of_its_type(code: str, label: str, job: bool) -> None:
    (item,) = shown(benefit("2021-03-01", "2021-09-30", code, job=job))
    assert item == Benefit(type=label, start=date(2021, 3, 1), end=date(2021, 9, 30), concurrent_job=job)


def test_every_type_has_a_label_of_its_own() -> None:
    labels = [row.value for row in DEFAULT_RULES.benefits.on(date(2022, 1, 1))]
    assert len(set(labels)) == len(labels) == 10


@pytest.mark.parametrize(
    ("items", "lines"),
    [
        pytest.param(
            [benefit("2022-01-01", "2022-01-31"), benefit("2022-02-28", "2022-03-31")],
            [line("2022-01-01", "2022-03-31")],
            id="less than one month between",
        ),
        pytest.param(
            [benefit("2022-01-01", "2022-01-31"), benefit("2022-03-01", "2022-03-31")],
            [line("2022-03-01", "2022-03-31"), line("2022-01-01", "2022-01-31")],
            id="exactly one month between",
        ),
        pytest.param(
            [benefit("2022-01-01", "2022-01-31"), benefit("2022-01-15", "2022-01-20")],
            [line("2022-01-01", "2022-01-31")],
            id="one within the other",
        ),
        pytest.param(
            [benefit("2022-01-01", None), benefit("2022-09-01", "2022-09-30")],
            [line("2022-01-01", None)],
            id="an unknown end takes in everything later",
        ),
        pytest.param(
            [benefit("2022-01-01", "2022-01-31"), benefit("2022-02-01", None)],
            [line("2022-01-01", None)],
            id="the unknown end is kept",
        ),
        pytest.param(
            [benefit("2022-01-01", "2022-01-31"), benefit("2022-02-01", "2022-02-28", CASH)],
            [line("2022-02-01", "2022-02-28", CASH), line("2022-01-01", "2022-01-31")],
            id="different types never merge",
        ),
        pytest.param(
            [benefit("2022-01-01", "2022-01-31")] * 2, [line("2022-01-01", "2022-01-31")], id="the same one twice"
        ),
        pytest.param(
            [benefit("0001-01-01", "0001-01-31"), benefit("9999-12-01", "9999-12-31"), benefit("9999-12-31", None)],
            [line("9999-12-01", None), line("0001-01-01", "0001-01-31")],
            id="the ends of the calendar",
        ),
    ],
)
def test_periods_of_one_type_merge_when_less_than_a_month_lies_between(
    items: list[dict[str, object]], lines: list[Benefit]
) -> None:
    assert shown(*items) == lines
    assert shown(*reversed(items)) == lines


JA, NEJ, UKENDT = True, False, None


@pytest.mark.parametrize(
    ("jobs", "merged"),
    [
        ((NEJ, NEJ, NEJ), NEJ),
        ((JA, NEJ, NEJ), JA),
        ((NEJ, JA, NEJ), JA),
        ((NEJ, NEJ, JA), JA),
        ((UKENDT, NEJ, NEJ), UKENDT),
        ((NEJ, UKENDT, NEJ), UKENDT),
        ((NEJ, NEJ, UKENDT), UKENDT),
        ((UKENDT, UKENDT, UKENDT), UKENDT),
        ((UKENDT, NEJ, JA), JA),
        ((JA, UKENDT, NEJ), JA),
        ((NEJ, UKENDT, JA), JA),
    ],
)
def test_in_a_merged_period_ja_outranks_ukendt_and_ukendt_nej(
    jobs: tuple[bool | None, ...], merged: bool | None
) -> None:
    days = [("2022-01-01", "2022-01-31"), ("2022-02-01", "2022-02-28"), ("2022-03-01", "2022-03-31")]
    items = [benefit(start, end, job=job) for (start, end), job in zip(days, jobs, strict=True)]
    assert shown(*items) == [line("2022-01-01", "2022-03-31", job=merged)]


@pytest.mark.parametrize(("value", "named"), [("true", "true"), (1, "1"), ("6102991234", "?"), ([], "?")])
def test_a_job_that_is_told_in_another_way_is_not_known_and_named(value: object, named: str) -> None:
    found = normalise(answer_of(benefit("2022-01-01", None) | {"samtidigJob": value}), TODAY)
    assert found.sections["benefits"] == [line("2022-01-01", None, job=None)]
    assert found.unknown == (UnknownValue("samtidigJob", named),)


def test_a_job_that_is_not_told_is_not_known_and_no_unknown_value() -> None:
    found = normalise(answer_of(bare("2022-01-01", None, ydelsestype=CASH)), TODAY)
    assert found == Normalised({"benefits": [line("2022-01-01", None, CASH, job=None)]})


def test_benefits_are_newest_first() -> None:
    in_order = [
        ("2022-02-01", None, "DAGPENGE"),
        ("2022-01-01", None, HELP),
        ("2021-06-01", "2021-12-31", CASH),
        ("2021-05-01", "2021-12-31", "LEDIGHEDSYDELSE"),
        ("2021-05-01", "2021-12-31", "SYGEDAGPENGE"),
        ("2021-07-01", "2021-12-30", "BARSELSDAGPENGE"),
    ]
    assert shown(*(benefit(*each) for each in reversed(in_order))) == [line(*each) for each in in_order]


def test_a_benefit_has_the_name_of_its_first_day_and_periods_of_two_names_are_two() -> None:
    items = [benefit("2024-02-01", "2024-06-30"), benefit("2024-07-01", "2025-06-30"), benefit("2025-07-01", None)]
    assert [(one.type, one.start, one.end) for one in shown(*items, today=date(2026, 1, 1))] == [
        ("Kontanthjælp", date(2025, 7, 1), None),
        ("Uddannelseshjælp", date(2024, 2, 1), date(2025, 6, 30)),
    ]


def test_what_two_types_are_called_alike_is_one_benefit_from_that_day_on() -> None:
    items = [benefit("2025-07-01", "2025-08-31", "OVERGANGSYDELSE"), benefit("2025-09-01", None, CASH)]
    assert [(one.type, one.start) for one in shown(*items, today=date(2026, 1, 1))] == [
        ("Kontanthjælp", date(2025, 7, 1))
    ]


def test_a_type_is_unknown_on_a_day_for_which_the_table_has_no_name() -> None:
    rows = [
        Row(CASH, "Kontanthjælp", last=date(2026, 12, 31)),
        Row("GRUNDYDELSE", "Grundydelse", first=date(2027, 1, 1)),
    ]
    rules = replace(DEFAULT_RULES, benefits=Table(rows))
    items = [
        benefit("2026-12-31", None, CASH),
        benefit("2027-01-01", None, CASH),
        benefit("2027-01-01", None, "GRUNDYDELSE"),
    ]
    normalised = normalise(answer_of(*items), date(2027, 6, 1), rules)
    assert [one.type for one in normalised.sections["benefits"]] == ["Grundydelse", UNKNOWN_BENEFIT, "Kontanthjælp"]
    assert normalised.unknown == (UnknownValue("ydelsestype", CASH),)


@pytest.mark.parametrize(
    ("group", "kind"),
    [(1, "DAGPENGE"), (12, HELP), ("12", HELP), ("Modtager af uddannelseshjælp", HELP), (28, "OVERGANGSYDELSE")],
)
def test_without_a_type_the_contact_group_tells_the_benefit(group: object, kind: str) -> None:
    found = normalise(answer_of(bare("2022-01-01", None, kontaktgruppeType=group)), TODAY)
    assert found == Normalised({"benefits": [line("2022-01-01", None, kind, job=None)]})


def test_the_type_goes_before_the_contact_group() -> None:
    assert shown(benefit("2022-01-01", None, CASH) | {"kontaktgruppeType": 12}) == [line("2022-01-01", None, CASH)]


def test_a_type_that_is_not_known_is_named_and_the_contact_group_tells_the_benefit() -> None:
    found = normalise(answer_of(benefit("2022-01-01", None, "NYT") | {"kontaktgruppeType": 12}), TODAY)
    assert found == Normalised({"benefits": [line("2022-01-01", None)]}, (UnknownValue("ydelsestype", "NYT"),))


@pytest.mark.parametrize(
    ("more", "unknown"),
    [
        ({}, [("ydelsestype", "missing")]),
        ({"ydelsestype": None, "kontaktgruppeType": None}, [("ydelsestype", "missing")]),
        ({"ydelsestype": "NYT"}, [("ydelsestype", "NYT")]),
        ({"ydelsestype": 3}, [("ydelsestype", "3")]),
        ({"ydelsestype": {"kode": "6102991234"}}, [("ydelsestype", "?")]),
        ({"kontaktgruppeType": 29}, [("kontaktgruppeType", "29")]),
        ({"kontaktgruppeType": "6102991234"}, [("kontaktgruppeType", "?")]),
        ({"ydelsestype": "NYT", "kontaktgruppeType": 29}, [("ydelsestype", "NYT"), ("kontaktgruppeType", "29")]),
    ],
)
def test_a_benefit_of_no_known_type_is_shown_as_that_and_counted(
    more: dict[str, object], unknown: list[tuple[str, str]]
) -> None:
    found = normalise(answer_of(bare("2022-01-01", "2022-01-31", **more)), TODAY)
    assert found.sections["benefits"] == [line("2022-01-01", "2022-01-31", UNKNOWN_BENEFIT, job=None)]
    assert found.unknown == tuple(UnknownValue(*one) for one in unknown)


def test_benefits_of_two_unknown_types_never_merge() -> None:
    days = [("2022-01-01", "2022-01-31"), ("2022-02-01", "2022-02-28"), ("2022-03-01", "2022-03-31")]
    types = ["NYT", "NYERE", "NYT"]
    items = [benefit(*each, kind) for each, kind in zip(days, types, strict=True)]
    assert shown(*items) == [line(*each, UNKNOWN_BENEFIT) for each in reversed(days)]
    same = [benefit(*each, "NYT") for each in days]
    assert shown(*same) == [line("2022-01-01", "2022-03-31", UNKNOWN_BENEFIT)]


@pytest.mark.parametrize(("start", "is_shown"), [("2022-05-31", True), ("2022-06-01", True), ("2022-06-02", False)])
def test_a_period_that_has_not_begun_is_not_shown(start: str, is_shown: bool) -> None:
    found = shown(benefit(start, None), today=date(2022, 6, 1))
    assert found == ([line(start, None)] if is_shown else [])


def test_an_expected_period_changes_no_other() -> None:
    begun, expected = benefit("2022-05-01", "2022-05-31"), benefit("2022-06-02", "2022-08-31", job=True)
    assert shown(begun, expected, today=date(2022, 6, 1)) == [line("2022-05-01", "2022-05-31")]


def test_of_an_expected_period_nothing_is_unknown() -> None:
    assert normalise(answer_of(bare("2022-06-02", None)), date(2022, 6, 1)) == Normalised({"benefits": []})


def test_an_item_that_cannot_be_read_leaves_the_others() -> None:
    found = normalise(answer_of(benefit("2022-01-01", None), benefit("snarest", None)), TODAY)
    assert found == Normalised({"benefits": [line("2022-01-01", None)]}, (), (LeftOut("startdato", "ydelse 2"),))


def test_an_item_that_cannot_be_read_beside_an_expected_one_is_not_no_data() -> None:
    with pytest.raises(InvalidResponse, match=r"^nothing is left to show beside 1 benefits that cannot be read$"):
        normalise(answer_of(benefit("2099-01-01", None), benefit("snarest", None)), date(2022, 6, 1))


DAYS = st.sampled_from([date.min, date(2022, 1, 31), date(2022, 2, 28), date(2022, 3, 1), date.max]) | st.dates()
ITEMS = st.lists(
    st.builds(
        lambda days, ongoing, kind, job: benefit(str(min(days)), None if ongoing else str(max(days)), kind, job=job),
        st.tuples(DAYS, DAYS),
        st.booleans(),
        st.sampled_from([HELP, CASH, "NYT"]),
        st.none() | st.booleans(),
    ),
    max_size=8,
)


def label_of(item: dict[str, object]) -> str:
    label = DEFAULT_RULES.benefits.at(str(item["ydelsestype"]), date.fromisoformat(str(item["startdato"])))
    return label or UNKNOWN_BENEFIT


@given(ITEMS.flatmap(lambda items: st.tuples(st.just(items), st.permutations(items))))
def test_the_order_of_the_register_never_shows(orders: tuple[list[dict[str, object]], list[dict[str, object]]]) -> None:
    as_given, shuffled = orders
    assert shown(*as_given) == shown(*shuffled)


@given(ITEMS)
def test_no_day_with_a_benefit_is_lost(items: list[dict[str, object]]) -> None:
    for item in items:
        start, end = str(item["startdato"]), item["slutdato"] and str(item["slutdato"])
        assert any(
            period.type == label_of(item)
            and str(period.start) <= start
            and (period.end is None or (end is not None and end <= str(period.end)))
            for period in shown(*items)
        )
