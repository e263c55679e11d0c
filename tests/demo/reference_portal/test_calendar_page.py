"""»Kalender« as HTML: what is on, in every state, what opens and what does not, and how it is drawn (§3.2)."""

import re
from datetime import UTC, datetime, timedelta
from itertools import combinations

import pytest
from lxml import html

from demo.reference_portal import calendar_page, calendar_view, site, texts
from demo.reference_portal.api import CALENDAR_PARTS
from domain.overview import UNAVAILABLE_TEXT
from portal.api.calendar_and_profile import CalendarView, together
from tests.demo.reference_portal import fake_api
from tests.demo.reference_portal.fake_api import deadline, entry, going_on

PAGE = "/kalender?maaned=2023-03"
PARTS = ["/kalender", "/kalender/del"]
NOTHING = texts.CALENDAR_NOTHING.partition("{")[0]
NAMES = {
    "deadlines": "Bookingfrister", "meetings": "Møder", "activities": "Indsatser", "absences": "Fravær",
    "joblog": "Joblog",
}  # fmt: skip
SUBSETS = [frozenset(some) for count in range(5) for some in combinations(fake_api.REGISTERS, count)]


def fill(api):
    """Something of every part, in March 2023."""
    api.entries = [
        entry("joblog", "Kok", "2023-03-01"), going_on("activity", "Kursus", "2023-03-02"),
        entry("absence", "Ferie", "2023-03-06", "2023-03-10"), entry("meeting", "Jobsamtale", "2023-03-14"),
    ]  # fmt: skip
    api.deadlines = [deadline("2023-03-17")]


def lines(page):
    """Part → what stands in its place, of those that are not known."""
    return {one.get("data-lacking"): words(one) for one in page.xpath("//ul[contains(@class, 'lacking')]/li")}


def kinds(page):
    return {re.search(r"kind-(\w+)", one.get("class"))[1] for one in page.find_class("piece")}


@pytest.fixture
async def citizen(visitor):
    # Not of the target group: the calendar is every citizen's.
    await visitor.log_in("Karin Udenfor")
    return visitor


@pytest.fixture
def on_13_march(monkeypatch):
    """The day of the release."""
    for module in (site, calendar_page):
        monkeypatch.setattr(module, "now", lambda: datetime(2023, 3, 13, 11, tzinfo=UTC))


async def opened(citizen, path=PAGE):
    answer = await citizen.get(path)
    assert answer.status_code == 200
    return html.fromstring(answer.text)


def words(element):
    return re.sub(r"\s+", " ", element.text_content()).strip()


def drawn(page):
    """(week, day it begins on, days, from before, goes on, words) of every piece."""
    return [
        (
            words(row.find_class("week-number")[0]).split()[-1],
            cell.find_class("date")[0].get("data-date"),
            int(re.search(r"span-(\d)", piece.get("class"))[1]),
            "from-before" in piece.get("class"),
            "goes-on" in piece.get("class"),
            piece.xpath("*/@title")[0],
        )
        for row in page.xpath("//table[@role='grid']/tbody/tr")
        for cell in row.find_class("day")
        for piece in cell.find_class("piece")
    ]


def opened_part(page):
    return page.get_element_by_id("valgt", None)


async def test_a_month_is_danish_weeks_with_their_numbers(citizen, api):
    page = await opened(citizen)
    assert words(page.get_element_by_id("maaned")) == "Marts 2023"
    assert [words(one) for one in page.xpath("//th[@scope='col']/abbr")] == [
        "man", "tir", "ons", "tor", "fre", "lør", "søn",
    ]  # fmt: skip
    assert page.xpath("//th[@scope='col']/abbr/@title")[0] == "mandag"
    assert [words(one) for one in page.xpath("//th[@scope='row']")] == ["Uge 9", "Uge 10", "Uge 11", "Uge 12", "Uge 13"]
    assert words(page.get_element_by_id("dag-2023-03-08")) == "8onsdag den 8. marts 2023"


async def test_an_activity_of_three_weeks_over_the_end_of_a_month_is_one_bar_in_both(citizen, api):
    api.entries = [entry("activity", "Praktik", "2023-03-22", "2023-04-11")]
    assert drawn(await opened(citizen)) == [
        ("12", "2023-03-22", 5, False, True, "Indsats: Praktik"),
        ("13", "2023-03-27", 7, True, True, "Indsats: Praktik"),
    ]
    assert drawn(await opened(citizen, "/kalender?maaned=2023-04")) == [
        ("13", "2023-03-27", 7, True, True, "Indsats: Praktik"),
        ("14", "2023-04-03", 7, True, True, "Indsats: Praktik"),
        ("15", "2023-04-10", 2, True, False, "Indsats: Praktik"),
    ]


async def test_what_has_no_known_end_goes_on_over_the_end_of_every_month(citizen, api):
    api.entries = [going_on("absence", "Sygdom", "2023-03-22")]
    assert drawn(await opened(citizen)) == [
        ("12", "2023-03-22", 5, False, True, "Fravær: Sygdom"),
        ("13", "2023-03-27", 7, True, True, "Fravær: Sygdom"),
    ]
    april = await opened(citizen, "/kalender?maaned=2023-04")
    assert drawn(april) == [
        (week, day, 7, True, True, "Fravær: Sygdom")
        for week, day in zip(
            ("13", "14", "15", "16", "17"),
            ("2023-03-27", "2023-04-03", "2023-04-10", "2023-04-17", "2023-04-24"),
            strict=True,
        )
    ]
    assert words(april.find_class("piece")[0]) == "Fravær: Sygdom, fortsat, 22. marts 2023 – Ukendt"
    assert drawn(await opened(citizen, "/kalender?maaned=2023-02")) == []
    day = opened_part(await opened(citizen, "/kalender?maaned=2031-05&dag=2031-05-09"))
    assert "Fravær: Sygdom" in words(day)


async def test_each_kind_has_a_colour_of_its_own_and_says_what_it_is(citizen, api):
    api.entries = [
        entry("joblog", "Joblog: Kok", "2023-03-01"), entry("activity", "Kursus", "2023-03-02"),
        entry("absence", "Ferie", "2023-03-03"), entry("meeting", "Jobsamtale", "2023-03-06"),
    ]  # fmt: skip
    api.deadlines = [deadline("2023-03-17")]
    pieces = (await opened(citizen)).find_class("piece")
    assert [(re.search(r"kind-(\w+)", one.get("class"))[1], words(one)) for one in pieces] == [
        ("joblog", "Joblog: Kok"), ("activity", "Indsats: Kursus"), ("absence", "Fravær: Ferie"),
        ("meeting", "Møde: Jobsamtale"), ("deadline", "Bookingfrist"),
    ]  # fmt: skip


async def test_a_screen_reader_hears_a_bar_once_a_week_with_its_days(citizen, api):
    api.entries = [entry("absence", "Ferie", "2023-03-09", "2023-03-14")]
    first, second = (await opened(citizen)).find_class("piece")
    assert words(first) == "Fravær: Ferie, 9. marts 2023 – 14. marts 2023"
    assert words(second) == "Fravær: Ferie, fortsat, 9. marts 2023 – 14. marts 2023"
    page = await opened(citizen)
    assert words(page.get_element_by_id("dag-2023-03-10")).endswith("den 10. marts 2023, 1 registrering")


async def test_today_is_marked_and_no_other_day(citizen, api, on_13_march):
    page = await opened(citizen)
    (cell,) = page.find_class("today")
    assert words(cell.find_class("date")[0]) == "13mandag den 13. marts 2023, i dag"
    assert page.xpath("//*[@aria-current='date']/@id") == ["dag-2023-03-13"]
    assert (await opened(citizen, "/kalender?maaned=2023-05")).find_class("today") == []


async def test_the_arrows_turn_a_month_and_i_dag_leads_to_this_one(citizen, api, on_13_march):
    page = await opened(citizen, "/kalender?maaned=2023-01")
    arrows = {link.get("id"): (words(link), link.get("href")) for link in page.xpath("//nav[@class='month-arrows']/a")}
    assert arrows == {
        "i-dag": ("I dag", "/kalender?maaned=2023-03"),
        "forrige": ("Forrige måned, december 2022", "/kalender?maaned=2022-12"),
        "naeste": ("Næste måned, februar 2023", "/kalender?maaned=2023-02"),
    }
    assert words((await opened(citizen, "/kalender")).get_element_by_id("maaned")) == "Marts 2023"


@pytest.mark.parametrize("month", ["1900-01", "2100-12"])
async def test_the_first_and_the_last_month_are_months_like_any_other(citizen, api, month):
    page = await opened(citizen, f"/kalender?maaned={month}")
    assert page.xpath(f"//table[@data-month='{month}']")


@pytest.mark.parametrize("asked", ["maaned=", "maaned=2023-13", "maaned=9999-01", "dag=x", "vis=nothing", "maaned=<b>"])
async def test_what_is_asked_for_wrongly_is_this_month(citizen, api, on_13_march, asked):
    page = await opened(citizen, f"/kalender?{asked}")
    assert words(page.get_element_by_id("maaned")) == "Marts 2023"
    assert opened_part(page) is None


async def test_a_deadline_explains_itself_and_leads_to_booking(citizen, api):
    api.deadlines = [deadline("2023-03-17")]
    (href,) = (await opened(citizen)).find_class("piece")[0].xpath("a/@href")
    chosen = opened_part(await opened(citizen, href))
    assert "Bookingfrist" in words(chosen)
    assert "Jobsamtale" in words(chosen)
    assert "senest fredag den 17. marts 2023" in words(chosen)
    link = chosen.xpath(".//a")[0]
    assert (words(link), link.get("href")) == ("Book møder med frist", "/book-moeder-med-frist?frist=frist-1")


async def test_a_deadline_that_the_api_does_not_name_is_not_shown(citizen, api):
    assert texts.DEADLINE not in (await citizen.get(PAGE)).text


async def test_a_held_meeting_opens_with_its_text_formatted(citizen, api):
    text = "<p>Vi aftalte:</p><ul><li>at du <strong>søger</strong></li></ul>"
    api.entries = [entry("meeting", "Jobsamtale", "2023-03-06", held=True, text=text)]
    (href,) = (await opened(citizen)).find_class("piece")[0].xpath("a/@href")
    chosen = opened_part(await opened(citizen, href))
    assert "Mødet blev holdt 6. marts 2023." in words(chosen)
    assert [words(one) for one in chosen.xpath(".//li/strong")] == ["søger"]


async def test_what_a_text_holds_beside_formatting_never_reaches_the_page(citizen, api):
    text = (
        '<p onclick="alert(1)" style="x">Et<script>alert(2)</script> <img src=x onerror=alert(3)>'
        '<a href="javascript:alert(4)">to</a></p><iframe src="//elsewhere"></iframe><form><input></form>'
    )
    api.entries = [entry("meeting", "Jobsamtale", "2023-03-06", held=True, text=text)]
    answer = await citizen.get(f"{PAGE}&vis={api.entries[0]['id']}")
    formatted = html.fromstring(answer.text).find_class("formatted")[0]
    assert html.tostring(formatted, encoding="unicode").strip() == '<div class="formatted"><p>Et to</p></div>'


def test_only_one_line_of_the_portal_marks_anything_safe(project):
    found = [
        path.name
        for path in (project / "demo" / "reference_portal").rglob("*")
        if path.suffix in {".py", ".html"}
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"Markup\([^\"]|\|\s*safe|autoescape false", line)
    ]
    assert found == ["calendar_view.py"]
    assert calendar_view.formatted("<b>x</b><u onclick=y>z</u>") == "<b>x</b><u>z</u>"


@pytest.mark.parametrize(
    "closed",
    [
        entry("activity", "Kursus", "2023-03-06", held=True, text="<p>hemmelig</p>"),
        entry("meeting", "Jobsamtale", "2023-03-06", held=False, text="<p>hemmelig</p>"),
        entry("meeting", "Jobsamtale", "2023-03-06", held=True),
        entry("absence", "Ferie", "2023-03-06", held=True, text="<p>hemmelig</p>"),
        entry("joblog", "Kok", "2023-03-06", held=True, text="<p>hemmelig</p>"),
    ],
    ids=lambda one: f"{one['kind']}-{one['held']}",
)
async def test_an_activity_and_what_was_not_held_cannot_be_opened(citizen, api, closed):
    api.entries = [closed]
    assert (await opened(citizen)).find_class("piece")[0].xpath(".//a") == []
    answer = await citizen.get(f"{PAGE}&vis={closed['id']}")
    assert opened_part(html.fromstring(answer.text)) is None
    assert "hemmelig" not in answer.text


async def test_a_day_opens_with_all_that_is_on(citizen, api):
    api.entries = [
        entry("absence", "Ferie", "2023-03-01", "2023-03-31"), entry("joblog", "Kok", "2023-03-08"),
        entry("joblog", "Tjener", "2023-03-09"),
    ]  # fmt: skip
    page = await opened(citizen, "/kalender?maaned=2023-03&dag=2023-03-08")
    chosen = opened_part(page)
    assert words(chosen.xpath("h3")[0]) == "Onsdag den 8. marts 2023"
    assert [words(one) for one in chosen.xpath(".//li")] == [
        "Fravær: Ferie 1. marts 2023 – 31. marts 2023",
        "Joblog: Kok 8. marts 2023",
    ]
    assert page.xpath("//td[@aria-selected='true']//@data-date") == ["2023-03-08"]
    nothing = opened_part(await opened(citizen, "/kalender?maaned=2023-04&dag=2023-04-08"))
    assert texts.CALENDAR_NOTHING_ON_DAY in words(nothing)


async def test_a_link_to_booking_stands_below_the_calendar_whatever_happens(citizen, api):
    for state in ("ready", "empty", "pending", "unavailable"):
        api.put_calendar(state)
        page = await opened(citizen)
        assert page.xpath("//p[@class='to-booking']/a/@href") == ["/book-moeder-med-frist"]


# States.


@pytest.mark.parametrize("path", PARTS)
async def test_an_unavailable_calendar_says_so_and_shows_no_days(citizen, api, path):
    api.put_calendar("unavailable")
    page = await opened(citizen, path)
    assert lines(page) == {part: f"{name}: {UNAVAILABLE_TEXT}" for part, name in NAMES.items()}
    assert page.xpath("//table") == []
    assert NOTHING not in words(page)
    assert page.xpath("//*[@id='kalender']/@data-retry-after") == ["1"] or page.get("data-retry-after") == "1"


@pytest.mark.parametrize("path", PARTS)
async def test_a_pending_calendar_is_a_skeleton_and_shows_no_days(citizen, api, path):
    api.put_calendar("pending")
    page = await opened(citizen, path)
    assert lines(page) == {part: f"{name} hentes …" for part, name in NAMES.items()}
    assert page.find_class("skeleton")
    assert page.xpath("//table") == []
    assert page.xpath("//noscript//a[contains(@href, '/kalender?maaned=')]")


async def test_only_what_is_known_to_be_empty_says_so(citizen, api):
    page = await opened(citizen)
    assert "Der er ingenting i din kalender i marts 2023." in words(page)
    assert page.xpath("//table")
    assert lines(page) == {}


@pytest.mark.parametrize("how", ["unavailable", "pending"])
@pytest.mark.parametrize("filled", [True, False], ids=["full", "empty"])
async def test_whatever_registers_are_down_the_others_are_shown_and_each_missing_part_is_named(
    citizen, api, subtests, filled, how
):
    """R8: all 16 sets of the four registers, on others that have something and on others that have nothing."""
    if filled:
        fill(api)
    for down in SUBSETS:
        with subtests.test(down=sorted(down)):
            await _is_right_without(citizen, api, down, filled, how)


async def _is_right_without(citizen, api, down, filled, how):
    api.put_calendar("ready")
    api.put_registers(how, *down)
    page = await opened(citizen, f"{PAGE}&dag=2023-03-05")
    missing = [part for part in CALENDAR_PARTS if any(part in fake_api.REGISTERS[register] for register in down)]
    said = {"unavailable": f"{{}}: {UNAVAILABLE_TEXT}", "pending": "{} hentes …"}[how]
    assert lines(page) == {part: said.format(NAMES[part]) for part in missing}
    there = [fake_api.PARTS[part] or "deadline" for part in CALENDAR_PARTS if filled and part not in missing]
    assert kinds(page) == set(there)
    assert bool(page.xpath("//table")) == (bool(there) or not missing)
    assert (NOTHING in words(page)) == (not filled and not missing)
    assert (texts.CALENDAR_NOTHING_ON_DAY in words(page)) == (not missing and "activity" not in there)
    known = "ready" if filled else "empty"
    assert page.get_element_by_id("kalender").get("data-state") == (how if missing else known)
    assert bool(page.xpath("//noscript//a[contains(@href, '/kalender?maaned=')]")) == (
        bool(missing) and how == "pending"
    )


async def test_a_part_that_is_pending_is_looked_at_before_one_that_is_unavailable(citizen, api):
    fill(api)
    api.put_calendar("unavailable", "absences", retry_after=40)
    api.put_calendar("unavailable", "joblog", retry_after=20)
    page = await opened(citizen)
    part = page.get_element_by_id("kalender")
    assert (part.get("data-state"), part.get("data-retry-after")) == ("unavailable", "20")
    assert part.get("data-told") == (f"Marts 2023. Fravær: {UNAVAILABLE_TEXT}. Joblog: {UNAVAILABLE_TEXT}")
    api.put_calendar("pending", "meetings")
    page = await opened(citizen)
    part, before = page.get_element_by_id("kalender"), part.get("data-mark")
    assert part.get("data-state") == "pending"
    assert part.get("data-mark") != before
    assert list(lines(page)) == ["meetings", "absences", "joblog"]


async def test_a_month_without_a_bar_is_not_shown_while_a_part_is_missing(citizen, api):
    """A deadline is in every month's answer, which is `ready` for it; the month is empty all the same."""
    fill(api)
    api.entries = []
    api.put_calendar("unavailable", "joblog")
    assert (await opened(citizen)).xpath("//table")
    page = await opened(citizen, "/kalender?maaned=2023-05")
    assert page.xpath("//table") == []
    assert lines(page) == {"joblog": f"Joblog: {UNAVAILABLE_TEXT}"}
    assert NOTHING not in words(page)


async def test_an_answer_without_parts_is_all_unavailable_and_never_empty(citizen, api):
    fill(api)
    for older in (None, {}, "none", [], [{"id": "party", "state": "empty"}], [{"id": ["absences"]}, 1]):
        api.calendar = {"parts": older}
        page = await opened(citizen)
        assert set(lines(page)) == set(CALENDAR_PARTS)
        assert page.xpath("//table") == []
        assert NOTHING not in words(page)


MALFORMED = {
    "of no state": {"state": "perhaps"},
    "without a state": {"state": None},
    "with a wait that is none": {"retry_after": "soon"},
    "with a time that is none": {"fetched_at": "yesterday"},
    "empty, with entries": {"state": "empty"},
    "pending, with entries": {"state": "pending"},
    "of another name": {"id": "party"},
}


@pytest.mark.parametrize("how", MALFORMED)
async def test_a_malformed_part_is_unavailable_and_affects_no_other(citizen, api, subtests, how):
    fill(api)
    said = api.calendar_answer("2023-03")["parts"]
    for part in CALENDAR_PARTS:
        with subtests.test(part=part):
            api.calendar = {"parts": [one | MALFORMED[how] if one["id"] == part else one for one in said]}
            page = await opened(citizen)
            assert lines(page) == {part: f"{NAMES[part]}: {UNAVAILABLE_TEXT}"}
            assert kinds(page) == {kind or "deadline" for name, kind in fake_api.PARTS.items() if name != part}


@pytest.mark.parametrize("part", CALENDAR_PARTS)
async def test_a_part_that_is_missing_twice_there_or_ready_with_nothing_is_unavailable(citizen, api, part):
    said = api.calendar_answer("2023-03")["parts"]
    own = next(one for one in said if one["id"] == part)
    others = [one for one in said if one != own]
    for parts in (others, [*said, own], [*others, own | {"state": "ready"}]):
        api.calendar = {"parts": parts}
        page = await opened(citizen)
        assert lines(page) == {part: f"{NAMES[part]}: {UNAVAILABLE_TEXT}"}
        assert page.xpath("//table") == []


@pytest.mark.parametrize("down", SUBSETS, ids=lambda down: "+".join(sorted(down)) or "none")
@pytest.mark.parametrize("how", ["unavailable", "pending"])
def test_the_stand_in_for_the_api_answers_as_the_api_does(api, down, how):
    fill(api)
    for entries in (api.entries, []):
        api.entries = entries
        api.put_registers(how, *down)
        answer = CalendarView.model_validate(api.calendar_answer("2023-03"))
        assert set(api.calendar_answer("2023-03")) == set(CalendarView.model_fields)
        assert {name: getattr(answer, name) for name in together(answer.parts)} == together(answer.parts)


async def test_an_old_calendar_says_from_when_it_is(citizen, api):
    old = (datetime.now(UTC) - timedelta(days=2)).isoformat()
    api.put_calendar("ready", "absences", stale=True, fetched_at=old)
    page = await opened(citizen)
    assert re.search(r"Hentet \d+\. [a-z]+ \d{4} kl\. \d\d\.\d\d", words(page))
    assert page.xpath("//*[@id='kalender']/@data-stale") == [""]
    api.put_calendar("ready")
    assert "Hentet" not in words(await opened(citizen))


@pytest.mark.parametrize(
    ("nonsense", "missing"),
    [
        ({"entries": None}, {"meetings", "activities", "absences", "joblog"}),
        ({"entries": [{"id": "x"}]}, {"meetings", "activities", "absences", "joblog"}),
        ({"entries": [entry("party", "Fest", "2023-03-01")]}, {"meetings", "activities", "absences", "joblog"}),
        ({"entries": [entry("absence", "Ferie", "2023-03-02", "2023-03-01")]}, {"absences"}),
        ({"entries": [entry("absence", "Ferie", "2023-03-02")]}, {"absences"}),
        ({"deadlines": [{"id": "x"}]}, {"deadlines"}),
        ({"deadlines": None}, {"deadlines"}),
        ({"month": "2023-04"}, set(CALENDAR_PARTS)),
        ({"month": None}, set(CALENDAR_PARTS)),
    ],
)
async def test_a_calendar_that_makes_no_sense_is_never_an_empty_one(citizen, api, nonsense, missing):
    api.calendar = nonsense
    page = await opened(citizen)
    assert set(lines(page)) == missing
    assert page.xpath("//table") == []
    assert NOTHING not in words(page)


async def test_titles_with_markup_are_text(citizen, api):
    api.entries = [entry("absence", "<script>alert(1)</script>", "2023-03-06")]
    answer = await citizen.get(f"{PAGE}&dag=2023-03-06")
    assert "<script>alert" not in answer.text


# Colours.

_PAIRS = ("joblog", "activity", "absence", "meeting", "free", "today", "beside")


def _luminance(colour):
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("name", _PAIRS)
def test_text_can_be_read_on_every_colour(project, name):
    """WCAG 2.1, 1.4.3: at least 4.5."""
    sheet = (project / "demo" / "reference_portal" / "static" / "site.css").read_text(encoding="utf-8")
    ink, ground = (_luminance(re.search(rf"--calendar-{one}: (#[0-9a-f]{{6}})", sheet)[1]) for one in ("ink", name))
    assert (ground + 0.05) / (ink + 0.05) >= 4.5
