"""Calendar, deadlines, job titles and contact groups: what is kept of each, in what order, and never hostile HTML."""

from datetime import date
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.dfdg.normalise import normalise
from workers.dfdg.wire import Borger
from workers.domain.overview import (
    BookingDeadline,
    CalendarEntry,
    ContactGroupPeriod,
    EntryKind,
    JobTitle,
    Normalised,
    UnknownValue,
    sections_of,
)
from workers.resilience.client import validated
from workers.resilience.errors import InvalidResponse

LISTS = ("kontaktgrupper", "kalender", "bookingfrister", "stillingsbetegnelser")
NOTHING: dict[str, list[object]] = {section.id: [] for section in sections_of("dfdg")}


def post(**own: object) -> dict[str, object]:
    return {
        "id": "post-1", "type": "JOBLOG", "titel": "Søgt job", "startdato": "2023-03-08", "slutdato": "2023-03-08",
    } | own  # fmt: skip


def answer(**lists: object) -> Borger:
    return validated(Borger, {"civilRegistrationIdentifier": "6102991234", **{name: [] for name in LISTS}, **lists})


def text_of(html: str) -> Any:
    (entry,) = normalise(answer(kalender=[post(type="MOEDE", afholdt=True, tekst=html)])).sections["calendar"]
    assert isinstance(entry, CalendarEntry)
    return entry.text


@pytest.mark.parametrize("given_answer", [None, answer()], ids=["unknown person", "nothing"])
def test_no_data_leaves_every_section_empty(given_answer: Borger | None) -> None:
    assert normalise(given_answer) == Normalised(NOTHING)


@pytest.mark.parametrize(
    ("code", "kind"),
    [("JOBLOG", "joblog"), ("INDSATS", "activity"), ("FRAVAER", "absence"), ("MOEDE", "meeting")],
)
def test_each_kind_of_entry_has_its_own(code: str, kind: str) -> None:
    entry = CalendarEntry(
        id="post-1", kind=EntryKind(kind), title="Søgt job", start=date(2023, 3, 8), end=date(2023, 3, 8), held=False,
        text=None,
    )  # fmt: skip
    assert normalise(answer(kalender=[post(type=code)])).sections == NOTHING | {"calendar": [entry]}


def test_a_calendar_of_unknown_kinds_alone_is_no_empty_one_whatever_else_is_known() -> None:
    titles = [{"titel": "Kok", "registreret": "2022-05-01"}]
    with pytest.raises(InvalidResponse, match="FEST"):
        normalise(answer(kalender=[post(type="FEST")], stillingsbetegnelser=titles))


def test_an_unknown_kind_is_left_out_and_named() -> None:
    result = normalise(answer(kalender=[post(), post(id="post-2", type="FEST")]))
    assert len(result.sections["calendar"]) == 1
    assert result.unknown == (UnknownValue("type", "FEST"),)


def test_when_nothing_else_is_left_it_must_not_look_like_no_data() -> None:
    with pytest.raises(InvalidResponse, match="FEST"):
        normalise(answer(kalender=[post(type="FEST")]))


@pytest.mark.parametrize(
    ("own", "held", "kept"),
    [
        ({"type": "MOEDE", "afholdt": True}, True, True),
        ({"type": "MOEDE", "afholdt": False}, False, False),
        ({"type": "MOEDE"}, False, False),
        ({"type": "INDSATS", "afholdt": True}, False, False),
    ],
)
def test_only_a_meeting_that_was_held_has_a_text(own: dict[str, object], held: bool, kept: bool) -> None:
    (entry,) = normalise(answer(kalender=[post(tekst="<p>Aftalt</p>", **own)])).sections["calendar"]
    assert isinstance(entry, CalendarEntry)
    assert (entry.held, entry.text) == (held, "<p>Aftalt</p>" if kept else None)


@pytest.mark.parametrize(
    "html",
    [
        "<p>Aftalt:<br>to ting</p><ul><li>et</li></ul><ol><li>to</li></ol>",
        "<p><strong>Vigtigt</strong> og <em>ikke</em></p>",
    ],
)
def test_plain_formatting_is_kept(html: str) -> None:
    assert text_of(html) == html


@pytest.mark.parametrize(
    ("html", "clean"),
    [
        ("<script>alert(1)</script><p>a</p>", "<p>a</p>"),
        ("<style>p{}</style><p style='color:red' class='x' id='y'>a</p>", "<p>a</p>"),
        ("<p onclick='alert(1)'>a</p>", "<p>a</p>"),
        ("<img src=x onerror=alert(1)><p>a</p>", "<p>a</p>"),
        ("<svg><script>alert(1)</script></svg>a", "a"),
        ("<a href='javascript:alert(1)'>a</a>", '<a rel="noopener">a</a>'),
        ("<a href='data:text/html,x'>a</a>", '<a rel="noopener">a</a>'),
        (
            "<a href='https://jobnet.dk' target='_top' rel='opener'>a</a>",
            '<a href="https://jobnet.dk" rel="noopener">a</a>',
        ),
        *(
            (f"<a href='{link}'>a</a>", '<a rel="noopener">a</a>')
            for link in (
                *("/log-ud", "log-ud", "?a=b", "#a", "//evil.example", "///evil.example", "https:log-ud", "https:/a"),
                *(r"\\evil.example", r"https:\\evil.example", "http://jobnet.dk", "mailto:a@b.example", "https://"),
            )
        ),
        ("<!-- secret --><p>a</p>", "<p>a</p>"),
        ("<h1>a</h1>", "a"),
        ("1 < 2 & 3", "1 &lt; 2 &amp; 3"),
        ("<script>alert(1)</script>", None),
        ("  ", None),
        ("", None),
    ],
)
def test_nothing_hostile_is_ever_kept(html: str, clean: str | None) -> None:
    assert text_of(html) == clean


@given(st.text(alphabet="<>/\"'= abpscriptonjv:&;!-\n", max_size=60))
def test_whatever_comes_cleaning_it_again_changes_nothing(html: str) -> None:
    once = text_of(html)
    assert once is None or text_of(once) == once


def test_a_title_is_plain_text_and_kept_as_it_is() -> None:
    (entry,) = normalise(answer(kalender=[post(titel="<b>A & B</b>")])).sections["calendar"]
    assert isinstance(entry, CalendarEntry)
    assert entry.title == "<b>A & B</b>"


def test_deadlines_are_kept_whole_the_first_first() -> None:
    first = {"id": "f-1", "frist": "2023-03-17", "moedetype": "Jobsamtale", "aktiv": True, "booket": False}
    last = first | {"id": "f-2", "frist": "2023-04-01", "aktiv": False, "booket": True}
    result = normalise(answer(bookingfrister=[last, first, first]))
    assert result.sections["deadlines"] == [
        BookingDeadline(id="f-1", deadline=date(2023, 3, 17), meeting_type="Jobsamtale", active=True, booked=False),
        BookingDeadline(id="f-2", deadline=date(2023, 4, 1), meeting_type="Jobsamtale", active=False, booked=True),
    ]


def test_job_titles_are_newest_first_and_those_without_a_date_last_in_whatever_order_they_come() -> None:
    titles = [
        {"titel": "Ny", "registreret": "2022-05-01", "ophoert": None},
        {"titel": "Gammel", "registreret": "2020-05-01", "ophoert": "2022-09-01"},
        {"titel": "A ukendt", "registreret": None, "ophoert": None},
        {"titel": "B ukendt", "registreret": None, "ophoert": "2021-01-01"},
    ]
    expected = [
        JobTitle(title="Ny", registered=date(2022, 5, 1), ended=None),
        JobTitle(title="Gammel", registered=date(2020, 5, 1), ended=date(2022, 9, 1)),
        JobTitle(title="A ukendt", registered=None, ended=None),
        JobTitle(title="B ukendt", registered=None, ended=date(2021, 1, 1)),
    ]
    for order in permutations(titles):
        assert normalise(answer(stillingsbetegnelser=order)).sections["job_titles"] == expected


def test_contact_groups_are_kept_with_their_days() -> None:
    groups = [
        {"kode": 12, "startdato": "2023-03-13", "slutdato": None},
        {"kode": 7, "startdato": "2020-01-01", "slutdato": "2023-03-12"},
    ]
    assert normalise(answer(kontaktgrupper=groups)).sections["contact_groups"] == [
        ContactGroupPeriod(group=7, start=date(2020, 1, 1), end=date(2023, 3, 12)),
        ContactGroupPeriod(group=12, start=date(2023, 3, 13), end=None),
    ]
