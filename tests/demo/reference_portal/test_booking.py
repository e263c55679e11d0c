"""»Book møder med frist« as HTML: every state and every problem, and that a double click books once (§3.3)."""

import asyncio
import re
from datetime import UTC, datetime

import pytest
from lxml import html

from demo.reference_portal import site, texts
from domain.overview import UNAVAILABLE_TEXT
from tests.demo.reference_portal.fake_api import deadline, free_time

PAGE = "/book-moeder-med-frist"
DAY = f"{PAGE}?frist=frist-1&dag=2023-03-15"


@pytest.fixture(autouse=True)
def _on_13_march(monkeypatch):
    monkeypatch.setattr(site, "now", lambda: datetime(2023, 3, 13, 11, tzinfo=UTC))


@pytest.fixture
async def citizen(visitor, api):
    api.deadlines = [deadline("2023-03-17")]
    api.times = [free_time("2023-03-16", 13), free_time("2023-03-15", 10), free_time("2023-03-15", 9)]
    await visitor.log_in("Karin Udenfor")
    return visitor


def words(element):
    return re.sub(r"\s+", " ", element.text_content()).strip()


def parsed(answer, status=200):
    assert answer.status_code == status
    page = html.fromstring(answer.text)
    return page.get_element_by_id("main-content", page)


async def opened(citizen, path=PAGE):
    return parsed(await citizen.get(path))


def times(page):
    return {words(one): one.get("for") and page.get_element_by_id(one.get("for")).get("value")
            for one in page.xpath(".//label")}  # fmt: skip


def fields(page):
    """What the form on the page would send."""
    form = page.find_class("booking-form")[0]
    return {one.get("name"): one.get("value") for one in form.xpath(".//input[@type='hidden']")}


async def test_the_days_with_free_times_stand_in_the_same_calendar(citizen, api):
    page = await opened(citizen)
    assert words(page.get_element_by_id("maaned")) == "Marts 2023"
    assert page.xpath(".//table[@role='grid']")
    assert [words(one) for one in page.find_class("piece")] == ["2 ledige tider", "1 ledig tid", "Bookingfrist"]
    # Only they lead anywhere.
    assert [one.get("data-date") for one in page.xpath(".//table//a[contains(@class, 'date')]")] == [
        "2023-03-15", "2023-03-16",
    ]  # fmt: skip
    assert page.find_class("booking-form") == []


async def test_a_day_shows_its_times_in_order(citizen, api):
    assert times(await opened(citizen, DAY)) == {
        "kl. 9.00–9.30, Jobcenter Ærø": "tid-2023-03-15-9",
        "kl. 10.00–10.30, Jobcenter Ærø": "tid-2023-03-15-10",
    }


async def test_a_time_is_booked_and_the_receipt_says_when_and_where(citizen, api):
    answer = await citizen.http.post(PAGE, data=fields(await opened(citizen, DAY)) | {"tid": "tid-2023-03-15-9"})
    page = parsed(answer)
    assert answer.url.path == f"{PAGE}/kvittering"
    assert texts.BOOKED in words(page)
    assert "Onsdag den 15. marts 2023 kl. 9.00–9.30" in words(page)
    assert "Jobcenter Ærø" in words(page)
    (booked,) = api.bookings.values()
    assert booked["asked"] == {"deadline": "frist-1", "time": "tid-2023-03-15-9"}
    # Loaded anew, it books nothing.
    assert texts.BOOKED in words(parsed(await citizen.get(f"{PAGE}/kvittering")))
    assert len(api.bookings) == 1
    assert texts.BOOK_NOTHING in words(await opened(citizen))


async def test_a_double_click_books_once_and_leads_to_the_same_receipt(citizen, api):
    form = fields(await opened(citizen, DAY)) | {"tid": "tid-2023-03-15-9"}
    answers = await asyncio.gather(*(citizen.http.post(PAGE, data=form) for _ in range(2)))
    assert {answer.url.path for answer in answers} == {f"{PAGE}/kvittering"}
    assert len(api.bookings) == 1


async def test_a_form_shown_anew_is_another_booking(citizen, api):
    assert fields(await opened(citizen, DAY))["noegle"] != fields(await opened(citizen, DAY))["noegle"]


async def test_without_a_booking_there_is_no_receipt(citizen, api):
    assert (await citizen.get(f"{PAGE}/kvittering")).url.path == PAGE


async def test_a_time_that_was_taken_meanwhile_is_said_and_the_others_are_there(citizen, api):
    page = await opened(citizen, DAY)
    api.times = [one for one in api.times if one["id"] != "tid-2023-03-15-9"]
    form = fields(page) | {"tid": "tid-2023-03-15-9"}
    page = parsed(await citizen.http.post(PAGE, data=form), 409)
    assert texts.BOOK_TAKEN in words(page)
    assert times(page) == {"kl. 10.00–10.30, Jobcenter Ærø": "tid-2023-03-15-10"}
    again = fields(page)
    assert again["noegle"] != form["noegle"]
    answer = await citizen.http.post(PAGE, data=again | {"tid": "tid-2023-03-15-10"})
    assert texts.BOOKED in words(parsed(answer))


async def test_when_the_last_time_was_taken_nothing_looks_bookable(citizen, api):
    form = fields(await opened(citizen, DAY)) | {"tid": "tid-2023-03-15-9"}
    api.times = []
    page = parsed(await citizen.http.post(PAGE, data=form), 409)
    assert texts.BOOK_TAKEN in words(page)
    assert texts.BOOK_NO_TIMES in words(page)


SYSTEM = [
    (503, "booking-system-unreachable", "4769/9018", texts.BOOK_UNREACHABLE),
    (502, "booking-system-contract", "9303/9329", texts.BOOK_CONTRACT),
]


@pytest.mark.parametrize(("status", "kind", "code", "text"), SYSTEM)
async def test_each_error_of_the_booking_system_has_its_own_words_and_leads_to_a_filled_report(
    citizen, api, status, kind, code, text
):
    form = fields(await opened(citizen, DAY)) | {"tid": "tid-2023-03-15-9"}
    api.answers_bookings_with = status, {"type": kind, "error_code": code}
    page = parsed(await citizen.http.post(PAGE, data=form))
    assert text in words(page)
    assert f"Fejlkode: {code}" in words(page)
    assert sum(other in words(page) for *_, other in SYSTEM) == 1
    (href,) = page.xpath(".//div[@id='problem']//a/@href")
    report = parsed(await citizen.get(href))
    hidden = {one.get("name"): one.get("value") for one in report.xpath(".//form[@id='fejlmelding']/input")}
    assert (hidden["side"], hidden["fejlkode"]) == (PAGE, code)
    # It may have been booked: to try again is to send the same.
    again = fields(page)
    assert again == {name: form[name] for name in ("csrf", "noegle", "frist", "tid")}
    api.answers_bookings_with = None
    assert texts.BOOKED in words(parsed(await citizen.http.post(PAGE, data=again)))
    assert list(api.bookings) == [form["noegle"]]


@pytest.mark.parametrize(("status", "kind", "code", "text"), SYSTEM)
async def test_the_same_when_it_is_the_times_that_cannot_be_had(citizen, api, status, kind, code, text):
    api.answers_times_with = status, {"type": kind, "error_code": code}
    page = await opened(citizen)
    assert text in words(page)
    assert f"fejlkode={code.replace('/', '%2F')}" in page.xpath(".//div[@id='problem']//a/@href")[0]
    assert page.xpath(".//table") == []
    assert texts.BOOK_NO_TIMES not in words(page)


async def test_an_answer_that_does_not_come_leaves_the_same_key_to_try_again_with(citizen, api):
    form = fields(await opened(citizen, DAY)) | {"tid": "tid-2023-03-15-9"}
    api.failing = "refuse"
    page = parsed(await citizen.http.post(PAGE, data=form))
    assert texts.BOOK_NOT_KNOWN in words(page)
    assert fields(page)["noegle"] == form["noegle"]


@pytest.mark.parametrize(
    ("status", "kind", "text", "shown"),
    [
        (429, "rate-limited", texts.BOOK_TOO_MANY, 200),
        (422, "idempotency-key-reused", texts.BOOK_KEY_USED, 409),
        (409, "wrong-state", texts.BOOK_DEADLINE_GONE, 409),
        (404, "not-found", texts.BOOK_DEADLINE_GONE, 409),
        (422, "invalid-request", texts.BOOK_NOT_POSSIBLE, 409),
        (500, "internal", texts.BOOK_NOT_POSSIBLE, 409),
    ],
)
async def test_every_other_problem_has_words(citizen, api, status, kind, text, shown):
    form = fields(await opened(citizen, DAY)) | {"tid": "tid-2023-03-15-9"}
    api.answers_bookings_with = status, {"type": kind}
    assert text in words(parsed(await citizen.http.post(PAGE, data=form), shown))


async def test_a_form_without_a_time_says_what_is_missing(citizen, api):
    page = parsed(await citizen.http.post(PAGE, data=fields(await opened(citizen, DAY))), 422)
    assert texts.BOOK_NOT_CHOSEN in words(page)
    assert len(times(page)) == 2
    assert api.bookings == {}


async def test_several_deadlines_are_listed_and_one_is_chosen(citizen, api):
    api.deadlines = [deadline("2023-03-31", "Rådighedssamtale", "frist-2"), deadline("2023-03-17")]
    page = await opened(citizen)
    assert [words(one) for one in page.xpath(".//ul[contains(@class, 'deadlines')]/li")] == [
        "Jobsamtale Book senest fredag den 17. marts 2023 Find en tid: Jobsamtale",
        "Rådighedssamtale Book senest fredag den 31. marts 2023 Find en tid: Rådighedssamtale",
    ]
    assert page.xpath(".//table") == []
    assert (await opened(citizen, page.xpath(".//ul//a/@href")[1])).xpath(".//table")


@pytest.mark.parametrize("wanted", ["gone", "x" * 500, "<b>"])
async def test_a_deadline_that_is_gone_is_said(citizen, api, wanted):
    page = parsed(await citizen.get(PAGE, params={"frist": wanted}))
    if wanted == "gone":
        assert texts.BOOK_DEADLINE_GONE in words(page)
    assert "Jobsamtale" in words(page)


async def test_without_free_times_or_deadlines_the_page_says_so(citizen, api):
    api.times = []
    assert texts.BOOK_NO_TIMES in words(await opened(citizen))
    api.deadlines = []
    assert texts.BOOK_NOTHING in words(await opened(citizen))


async def test_a_month_without_free_times_leads_to_the_first(citizen, api):
    page = await opened(citizen, f"{PAGE}?frist=frist-1&maaned=2023-05")
    assert "Der er ingen ledige tider i maj 2023." in words(page)
    assert page.xpath(".//p[@class='month-note']/a/@href") == [f"{PAGE}?frist=frist-1&maaned=2023-03"]


@pytest.mark.parametrize("path", [PAGE, f"{PAGE}/del"])
async def test_deadlines_that_cannot_be_had_are_never_none(citizen, api, path):
    api.put_calendar("unavailable", "deadlines")
    page = await opened(citizen, path)
    assert words(page).count(UNAVAILABLE_TEXT) == 1
    assert texts.BOOK_NOTHING not in words(page)
    api.put_calendar("pending", "deadlines")
    page = await opened(citizen, path)
    assert page.find_class("skeleton")
    assert texts.BOOK_NOTHING not in words(page)


@pytest.mark.parametrize("state", ["unavailable", "pending"])
async def test_booking_needs_the_deadlines_alone_whatever_other_part_is_missing(citizen, api, state):
    api.put_registers(state, "visitering", "jobsearch", "borgerindsats")
    api.put_calendar(state, "meetings")
    page = await opened(citizen)
    assert [words(one) for one in page.find_class("piece")] == ["2 ledige tider", "1 ledig tid", "Bookingfrist"]
    assert UNAVAILABLE_TEXT not in words(page)
    api.deadlines = []
    assert texts.BOOK_NOTHING in words(await opened(citizen))
    api.put_registers(state, "kontaktforloeb")
    assert texts.BOOK_NOTHING not in words(await opened(citizen))


@pytest.mark.parametrize("answer", [(503, {"type": "temporarily-unavailable"}), (500, {"type": "internal"})])
async def test_times_that_cannot_be_had_are_never_none(citizen, api, answer):
    api.answers_times_with = answer
    page = await opened(citizen)
    assert UNAVAILABLE_TEXT in words(page)
    assert texts.BOOK_NO_TIMES not in words(page)
    assert "Jobsamtale" in words(page)


async def test_slow_times_come_after_the_page(citizen, api):
    api.times_take_seconds = 1.0
    page = await opened(citizen)
    assert page.find_class("skeleton")
    assert page.xpath(".//*[@id='booking']/@data-state") == ["pending"]
    assert "2 ledige tider" in words(await opened(citizen, f"{PAGE}/del"))
    (href,) = page.xpath(".//noscript//a/@href")
    assert "2 ledige tider" in words(await opened(citizen, href))
