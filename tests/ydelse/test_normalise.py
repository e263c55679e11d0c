"""The benefits of overview 3: their labels, what merges, and in what order they are shown (R2, R4, R5, R8)."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.domain.overview import Benefit, Item, Normalised, UnknownValue, sections_of
from workers.resilience.client import validated
from workers.resilience.errors import InvalidResponse
from workers.ydelse.normalise import LABELS, normalise
from workers.ydelse.wire import YdelseSvar

HELP, CASH = "UDDANNELSESHJAELP", "KONTANTHJAELP"


def benefit(start: str, end: str | None, kind: str = HELP, *, job: bool = False) -> dict[str, object]:
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


def shown(*items: dict[str, object]) -> list[Item]:
    return list(normalise(answer_of(*items)).sections["benefits"])


def line(start: str, end: str | None, kind: str = HELP, *, job: bool = False) -> Benefit:
    return Benefit(
        type=LABELS[kind],
        start=date.fromisoformat(start),
        end=date.fromisoformat(end) if end else None,
        concurrent_job=job,
    )


@pytest.mark.parametrize("answer", [None, answer_of()], ids=["unknown person", "no benefit"])
def test_no_data_leaves_the_section_empty(answer: YdelseSvar | None) -> None:
    assert normalise(answer) == Normalised({"benefits": []})


def test_the_section_is_the_one_of_the_register() -> None:
    assert normalise(None).sections.keys() == {section.id for section in sections_of("ydelse")}


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
    assert len(set(LABELS.values())) == len(LABELS) == 10


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


@pytest.mark.parametrize(
    ("jobs", "merged"),
    [
        ((False, False, False), False),
        ((True, False, False), True),
        ((False, True, False), True),
        ((False, False, True), True),
    ],
)
def test_a_merged_period_was_beside_a_job_when_any_part_was(jobs: tuple[bool, bool, bool], merged: bool) -> None:
    days = [("2022-01-01", "2022-01-31"), ("2022-02-01", "2022-02-28"), ("2022-03-01", "2022-03-31")]
    items = [benefit(start, end, job=job) for (start, end), job in zip(days, jobs, strict=True)]
    assert shown(*items) == [line("2022-01-01", "2022-03-31", job=merged)]


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


def test_an_unknown_type_is_left_out_and_named() -> None:
    answer = answer_of(benefit("2022-01-01", None), benefit("2022-01-01", None, "NYT"))
    assert normalise(answer) == Normalised(
        {"benefits": [line("2022-01-01", None)]}, (UnknownValue("ydelsestype", "NYT"),)
    )


def test_an_answer_of_unknown_types_alone_is_not_no_data() -> None:
    with pytest.raises(InvalidResponse, match="ydelsestype 'NYT'"):
        normalise(answer_of(benefit("2022-01-01", None, "NYT")))


DAYS = st.sampled_from([date.min, date(2022, 1, 31), date(2022, 2, 28), date(2022, 3, 1), date.max]) | st.dates()
ITEMS = st.lists(
    st.builds(
        lambda days, ongoing, kind, job: benefit(str(min(days)), None if ongoing else str(max(days)), kind, job=job),
        st.tuples(DAYS, DAYS),
        st.booleans(),
        st.sampled_from([HELP, CASH, "NYT"]),
        st.booleans(),
    ),
    max_size=8,
)


def outcome(items: list[dict[str, object]]) -> object:
    try:
        return normalise(answer_of(*items)).sections
    except InvalidResponse:
        return InvalidResponse


@given(ITEMS.flatmap(lambda items: st.tuples(st.just(items), st.permutations(items))))
def test_the_order_of_the_register_never_shows(orders: tuple[list[dict[str, object]], list[dict[str, object]]]) -> None:
    as_given, shuffled = orders
    assert outcome(as_given) == outcome(shuffled)


@given(ITEMS)
def test_no_day_with_a_benefit_is_lost(items: list[dict[str, object]]) -> None:
    known = [item for item in items if item["ydelsestype"] in LABELS]
    for item in known:
        start, end = str(item["startdato"]), item["slutdato"] and str(item["slutdato"])
        assert any(
            period.type == LABELS[str(item["ydelsestype"])]
            and str(period.start) <= start
            and (period.end is None or (end is not None and end <= str(period.end)))
            for period in shown(*items)
        )
