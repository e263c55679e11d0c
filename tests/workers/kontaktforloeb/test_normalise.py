"""Meetings and deadlines: what is kept of each, in what order, and never hostile HTML."""

from datetime import date
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from domain.overview import (
    BookingDeadline,
    CalendarEntry,
    EntryKind,
    LeftOut,
    Normalised,
    UnknownValue,
    sections_of,
)
from registerbro.refresh.unknown_values import NothingKnown
from registerbro.upstreams.messages import validated
from registerbro.upstreams.wire_types import Identifier
from workers.kontaktforloeb.normalise import normalise
from workers.kontaktforloeb.wire import Borgerstatus, Indkaldelser

NOTHING: dict[str, list[object]] = {section.id: [] for section in sections_of("kontaktforloeb")}


def meeting(**own: object) -> dict[str, object]:
    return {"indkaldelseId": "m-1", "SamtaleType": 7, "starttidspunkt": "2023-03-08T09:00:00+01:00"} | own


def deadline(day: str = "2023-03-17", kind: object = 7, status: object = 1) -> dict[str, object]:
    return {"FriststatusType": status, "SamtaleType": kind, "Fristdato": day, "SidsteAfholdelsesdato": "2023-04-01"}


def meetings(*items: object) -> Indkaldelser:
    return validated(Indkaldelser, {"indkaldelser": list(items)})


def deadlines(*items: object) -> Borgerstatus:
    return validated(Borgerstatus, {"KanSelvbooke": True, "Frister": {"Frist": list(items)}})


def entries(*items: object) -> Any:
    return normalise(meetings(*items), None).sections["meetings"]


def shown_deadlines(*items: object) -> Any:
    return normalise(None, deadlines(*items)).sections["deadlines"]


def text_of(html: str) -> Any:
    (entry,) = entries(meeting(afholdt=True, aftaletekst=html))
    return entry.text


@pytest.mark.parametrize("calls", [None, meetings()])
@pytest.mark.parametrize("status", [None, deadlines(), validated(Borgerstatus, {"KanSelvbooke": False})])
def test_no_data_leaves_every_section_empty(calls: Indkaldelser | None, status: Borgerstatus | None) -> None:
    assert normalise(calls, status) == Normalised(NOTHING)


@pytest.mark.parametrize(
    ("code", "title"),
    [
        (4, "Opfølgningssamtale"), (7, "Jobsamtale"), (8, "Henvisning"), (9, "Informationsmøde"), (10, "CV-samtale"),
        (11, "Formidlingssamtale"), (12, "Anden samtale"), (13, "Informationsmøde uden mødepligt"),
        (15, "Rådighedssamtale"), (17, "Fælles jobsamtale med dagpengemodtager"),
    ],
)  # fmt: skip
def test_a_meeting_has_the_name_of_its_type(code: int, title: str) -> None:
    day = date(2023, 3, 8)
    expected = CalendarEntry(id="m-1", kind=EntryKind.MEETING, title=title, start=day, end=day, held=False, text=None)
    assert normalise(meetings(meeting(SamtaleType=code)), None) == Normalised(NOTHING | {"meetings": [expected]})


@pytest.mark.parametrize(("code", "named"), [(19, "19"), (99, "99"), ("NYT", "NYT"), (999_999_999, "999999999")])
def test_a_meeting_of_an_unknown_type_is_shown_and_named(code: object, named: str) -> None:
    result = normalise(meetings(meeting(SamtaleType=code)), None)
    assert [getattr(one, "title", None) for one in result.sections["meetings"]] == ["Samtale"]
    assert result.unknown == (UnknownValue("SamtaleType", named),)


def test_meetings_are_by_their_days_and_each_has_an_id_of_its_own() -> None:
    late, early = meeting(starttidspunkt="2023-03-09T09:00:00Z"), meeting(varighed=30)
    found = entries(late, early, late)
    assert [(one.start.day, one.id) for one in found] == [(8, "m-1"), (9, "m-1-2")]


@pytest.mark.parametrize(
    ("own", "held", "kept"),
    [({"afholdt": True}, True, True), ({"afholdt": False}, False, False), ({}, False, False)],
)
def test_only_a_meeting_that_was_held_has_a_text(own: dict[str, object], held: bool, kept: bool) -> None:
    (entry,) = entries(meeting(aftaletekst="<p>Aftalt</p>", **own))
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


def test_a_deadline_is_named_by_its_type_and_day_and_is_active_by_its_status_alone() -> None:
    given_in = [deadline("2023-04-01", 4, 3), deadline("2023-03-17", 9, 2), deadline()]
    expected = [
        BookingDeadline(id="7-2023-03-17", deadline=date(2023, 3, 17), meeting_type="Jobsamtale", active=True),
        BookingDeadline(id="9-2023-03-17", deadline=date(2023, 3, 17), meeting_type="Informationsmøde", active=False),
        BookingDeadline(id="4-2023-04-01", deadline=date(2023, 4, 1), meeting_type="Opfølgningssamtale", active=False),
    ]
    for order in permutations(given_in):
        result = normalise(None, deadlines(*order))
        assert result == Normalised(NOTHING | {"deadlines": expected})


@pytest.mark.parametrize(
    ("statuses", "active"), [((1, 1), True), ((1, 2), True), ((2, 1), True), ((2, 3), False), ((3, 3), False)]
)
def test_deadlines_of_one_type_and_day_are_one_and_active_when_one_of_them_is(
    statuses: tuple[int, int], active: bool
) -> None:
    (found,) = shown_deadlines(*(deadline(status=status) for status in statuses))
    assert found.active is active


@pytest.mark.parametrize("kind", [0, 7, "7", 99, 999_999_999, "NYT", "x" * 40])
def test_the_id_of_a_deadline_can_be_a_part_of_an_address(kind: object) -> None:
    (found,) = shown_deadlines(deadline(kind=kind))
    assert TypeAdapter(Identifier).validate_python(found.id) == found.id


def test_a_deadline_of_an_unknown_type_is_shown_and_named() -> None:
    result = normalise(None, deadlines(deadline(kind=99)))
    assert result.sections["deadlines"] == [
        BookingDeadline(id="99-2023-03-17", deadline=date(2023, 3, 17), meeting_type="Samtale", active=True)
    ]
    assert result.unknown == (UnknownValue("SamtaleType", "99"),)


def test_a_deadline_of_an_unknown_status_is_left_out_and_named_beside_the_others() -> None:
    result = normalise(None, deadlines(deadline(), deadline("2023-04-01", status=4)))
    assert [one.model_dump()["id"] for one in result.sections["deadlines"]] == ["7-2023-03-17"]
    assert result.unknown == (UnknownValue("FriststatusType", "4"),)


@pytest.mark.parametrize("items", [[deadline(status=4)], [deadline(status=4), "odd"]])
def test_deadlines_of_unknown_statuses_alone_are_a_failure_whatever_meetings_there_are(items: list[object]) -> None:
    with pytest.raises(NothingKnown, match="FriststatusType '4'") as caught:
        normalise(meetings(meeting()), deadlines(*items))
    assert caught.value.unknown == (UnknownValue("FriststatusType", "4"),)


def test_what_cannot_be_read_is_told_of_both_answers() -> None:
    result = normalise(meetings(meeting(), {}), deadlines(deadline(), 7))
    assert result.left_out == (LeftOut("indkaldelseId", "indkaldelse 2"), LeftOut("Frist", "Frist 2"))
    assert [len(items) for items in result.sections.values()] == [1, 1]
