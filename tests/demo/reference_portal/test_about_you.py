"""The pages as HTML: what is on them in every state, and that no failure takes one away (R1, R2, R8, R10, §3.1)."""

import dataclasses
import re
import time
from datetime import UTC, datetime, timedelta

import pytest
from lxml import html

from demo.installation import free_port
from demo.reference_portal import texts
from demo.reference_portal.api import CALENDAR_PARTS
from domain.overview import SECTIONS, UNAVAILABLE_TEXT
from tests.demo.reference_portal.fake_api import ITEMS, jobs

PAGE = "/oplysninger-om-dig"
EVERY = [section.id for section in SECTIONS]


async def opened(visitor, path=PAGE):
    answer = await visitor.get(path)
    assert answer.status_code == 200
    return html.fromstring(answer.text)


def words(element):
    return re.sub(r"\s+", " ", element.text_content()).strip()


def section(page, name):
    return page.get_element_by_id(f"afsnit-{name}")


def rows(page, name, *, shown_only=True):
    found = section(page, name).xpath(".//tbody/tr" + ("[not(@hidden)]" if shown_only else ""))
    return [[words(cell) for cell in row.xpath("td")] for row in found]


@pytest.fixture
async def citizen(visitor):
    await visitor.log_in()
    return visitor


async def test_every_section_shows_what_r2_says(citizen, api):
    page = await opened(citizen)
    assert [words(heading) for heading in page.xpath("//main//h2")] == [
        "Overblik over dine uddannelser",
        "Overblik over tidligere job",
        "Overblik over økonomisk hjælp",
    ]
    assert rows(page, "completed_educations") == [["Htx", "2018"]]
    assert rows(page, "started_educations") == [["Hf", "Startet", "2022"], ["Eux", "Afbrudt", "2020"]]
    assert "påbegyndt med SU: 2" in words(section(page, "su_attempts"))
    assert rows(page, "fgu") == [
        ["FGU Hovedstaden", "Almen grunduddannelse", "Afbrudt", "12. august 2019", "1. februar 2020"]
    ]
    assert rows(page, "stu") == [["STU Ærø", "Gennemført", "10. august 2020", "25. juni 2021"]]
    assert rows(page, "employments")[0] == ["Bageriet på Hjørnet ApS", "1. februar 2021 – 30. september 2021"]
    assert rows(page, "benefits") == [
        ["Uddannelseshjælp", "1. marts 2021 – Ukendt", "Ja"],
        ["Sygedagpenge", "1. juni 2020 – 15. juli 2020", "Nej"],
    ]


@pytest.mark.parametrize("one", SECTIONS, ids=lambda one: one.id)
async def test_every_section_names_its_source(citizen, api, one):
    assert f"Kilde: {one.source}" in words(section(await opened(citizen), one.id))


async def test_what_is_not_known_is_ukendt(citizen, api):
    api.ready("completed_educations", [{"name": "Eud", "year": None}])
    api.ready("started_educations", [{"name": "Stx", "status": "interrupted", "year": None}])
    api.ready(
        "fgu", [{"place": "FGU Nord", "speciality": None, "status": "ongoing", "start": "2023-01-09", "end": None}]
    )
    api.ready("benefits", [{"type": "Ukendt ydelse", "start": "2020-01-01", "end": None, "concurrent_job": None}])
    page = await opened(citizen)
    assert rows(page, "benefits") == [["Ukendt ydelse", "1. januar 2020 – Ukendt", "Ukendt"]]
    assert rows(page, "completed_educations") == [["Eud", "Ukendt"]]
    assert rows(page, "started_educations") == [["Stx", "Afbrudt", "Ukendt"]]
    assert rows(page, "fgu") == [["FGU Nord", "Ukendt", "I gang", "9. januar 2023", "Ukendt"]]


@pytest.mark.parametrize(("count", "shown", "all_of_them"), [(3, 3, False), (4, 3, True), (40, 3, True)])
async def test_three_jobs_are_shown_and_vis_alle_when_there_are_more(citizen, api, count, shown, all_of_them):
    api.ready("employments", jobs(count))
    page = await opened(citizen)
    assert len(rows(page, "employments")) == shown
    links = section(page, "employments").xpath(".//a")
    assert [words(link) for link in links] == ([f"Vis alle {count} job"] if all_of_them else [])
    if all_of_them:
        # Without a script the link leads to all of them.
        page = await opened(citizen, links[0].get("href"))
        assert len(rows(page, "employments")) == count
        assert section(page, "employments").xpath(".//a") == []


async def test_only_jobs_and_benefits_are_shortened(citizen, api):
    api.ready("completed_educations", [{"name": f"Kursus {n}", "year": 2000 + n} for n in range(5)])
    api.ready("benefits", ITEMS["benefits"] * 2)
    page = await opened(citizen)
    assert len(rows(page, "completed_educations")) == 5
    assert len(rows(page, "benefits")) == 3
    assert "Vis alle 4 ydelser" in words(section(page, "benefits"))


@pytest.mark.parametrize("name", EVERY)
async def test_an_empty_section_is_not_shown(citizen, api, name):
    api.empty(name)
    hidden = section(await opened(citizen), name)
    assert hidden.get("hidden") is not None
    assert words(hidden) == ""


async def test_an_overview_all_of_whose_sections_are_empty_is_not_shown(citizen, api):
    api.empty("employments")
    page = await opened(citizen)
    assert [words(one) for one in page.xpath("//main//section[not(@hidden)]/h2")] == [
        texts.OVERVIEWS["education"],
        texts.OVERVIEWS["benefits"],
    ]
    assert page.get_element_by_id("ingen").get("hidden") is not None


async def test_a_page_without_anything_says_so_in_one_sentence(citizen, api):
    api.empty()
    page = await opened(citizen)
    assert page.xpath("//main//section[not(@hidden)]") == []
    assert page.get_element_by_id("ingen").get("hidden") is None
    assert words(page.get_element_by_id("ingen")) == texts.NOTHING


@pytest.mark.parametrize("name", EVERY)
async def test_an_unavailable_section_shows_the_text_of_r8_and_nothing_else(citizen, api, name):
    api.unavailable(name)
    shown = section(await opened(citizen), name)
    assert words(shown) == f"{texts.SECTIONS[name]} {UNAVAILABLE_TEXT}"


@pytest.mark.parametrize("name", EVERY)
async def test_a_pending_section_is_a_skeleton_and_can_be_reloaded_without_a_script(citizen, api, name):
    api.pending(name)
    page = await opened(citizen)
    assert words(section(page, name)) == f"{texts.SECTIONS[name]} {texts.PENDING}"
    assert section(page, name).find_class("skeleton")
    assert page.xpath("//noscript//a/@href")[-1] == PAGE


async def test_old_data_say_when_they_were_fetched_and_new_ones_do_not(citizen, api):
    api.ready("fgu", ITEMS["fgu"], stale=True, fetched_at=datetime.now(UTC) - timedelta(days=2))
    page = await opened(citizen)
    assert re.search(r"Hentet \d+\. [a-z]+ \d{4} kl\. \d\d\.\d\d$", words(section(page, "fgu")))
    assert "Hentet" not in words(section(page, "stu"))


async def test_the_page_says_where_its_data_come_from_and_who_sees_them(citizen, api):
    page = await opened(citizen)
    assert "hentet automatisk" in words(page)
    assert "jobcenter har mulighed for at se de samme oplysninger" in words(page)
    link = section(page, "completed_educations").xpath(".//a")[0]
    assert (words(link), link.get("href")) == ("Min kompetencemappe", "https://minkompetencemappe.dk")


async def test_names_with_markup_are_text(visitor, api):
    await visitor.log_in("Håkon Ærlig-Øst <b>")
    api.ready(
        "employments", [{"employer": "<script>alert('job')</script> & Sønner", "start": "2020-01-01", "end": None}]
    )
    answer = await visitor.get(PAGE)
    assert "<script>alert" not in answer.text
    page = html.fromstring(answer.text)
    assert rows(page, "employments")[0][0] == "<script>alert('job')</script> & Sønner"
    assert "Håkon Ærlig-Øst <b>" in words(page.xpath("//header")[0])


async def test_a_part_of_the_page_is_the_same_as_in_the_page(citizen, api):
    api.ready("employments", jobs(4))
    part = html.fromstring((await citizen.get(f"{PAGE}/afsnit/employments")).text)
    assert words(part) == words(section(await opened(citizen), "employments"))
    whole = html.fromstring((await citizen.get(f"{PAGE}/afsnit/employments?hele")).text)
    assert whole.xpath(".//tr[@hidden]") == []
    assert (await citizen.get(f"{PAGE}/afsnit/nothing")).status_code == 404


# The target group (R1).


@pytest.mark.parametrize("name", ["Karin Udenfor", "Ulla Uden"])
@pytest.mark.parametrize("path", [PAGE, f"{PAGE}/afsnit/fgu", f"{PAGE}/tidslinje", f"{PAGE}/begivenheder"])
async def test_a_citizen_outside_the_target_group_sees_neither_page_nor_menu_entry(visitor, api, name, path):
    front = await visitor.log_in(name)
    assert texts.BANNER_LINK not in front.text
    assert PAGE not in front.text
    api.calls.clear()
    answer = await visitor.get(path)
    assert answer.status_code == 404
    assert texts.ABOUT_YOU_LEAD not in answer.text
    assert api.calls == ["GET /v1/banner"]


async def test_who_comes_into_the_target_group_finds_the_page_without_a_new_log_in(visitor, api):
    await visitor.log_in("Karin Udenfor")
    api.belongs = True
    assert texts.ABOUT_YOU_LEAD in (await visitor.get(PAGE)).text
    assert PAGE in (await visitor.get("/")).text
    assert PAGE in (await visitor.get("/kalender")).text


async def test_who_leaves_the_target_group_has_neither_banner_nor_menu_entry_from_the_next_front_page_on(citizen, api):
    api.belongs = False
    assert PAGE not in (await citizen.get("/")).text
    assert PAGE not in (await citizen.get("/kalender")).text
    assert (await citizen.get(PAGE)).status_code == 404


async def test_a_citizen_who_left_the_target_group_since_the_log_in_finds_no_page(citizen, api):
    api.failing = "outside"
    assert (await citizen.get(PAGE)).status_code == 404
    assert (await citizen.get(f"{PAGE}/afsnit/fgu")).status_code == 404


async def test_nobody_sees_a_citizens_page_without_a_log_in(visitor, api):
    for path in (PAGE, "/cv", "/fejlmeld-moedebooking", *FROM_DFDG, f"{FROM_DFDG[1]}/kvittering"):
        answer = await visitor.get(path)
        assert answer.url.path == "/log-ind"
        assert texts.LOG_IN_LEAD in answer.text
    part = await visitor.get(f"{PAGE}/afsnit/fgu", headers={"Sec-Fetch-Mode": "cors"})
    assert part.status_code == 401


# The banner (§1.1).


async def test_the_banner_leads_to_the_page_until_it_is_dismissed_for_good(visitor, api):
    front = html.fromstring((await visitor.log_in()).text)
    banner = front.get_element_by_id("banner")
    assert [(words(a), a.get("href")) for a in banner.xpath(".//a")] == [(texts.BANNER_LINK, PAGE)]
    assert words(banner.xpath(".//button")[0]) == "Vis ikke denne besked igen"
    assert "banner-overskrift" not in (await visitor.post("/banner/fjern")).text
    await visitor.post("/log-ud")
    assert "banner-overskrift" not in (await visitor.log_in()).text
    await visitor.post("/log-ud")
    assert "banner-overskrift" in (await visitor.log_in("Mia Firejob")).text


async def test_a_banner_that_cannot_be_dismissed_says_so(citizen, api):
    token = await citizen.csrf()
    api.failing = "500"
    assert texts.BANNER_STAYS in (await citizen.post("/banner/fjern", csrf=token)).text


# Log-in and log-out.


async def test_the_log_in_lists_the_constructed_citizens_without_their_numbers(visitor, api):
    answer = await visitor.get("/log-ind")
    names = html.fromstring(answer.text).xpath("//button[@name='borger']/@value")
    assert "Alma Eksempel" in names
    assert len(names) >= 12
    assert not re.search(r"\d{6}-?\d{4}", answer.text)


@pytest.mark.parametrize(
    ("wanted", "given"),
    [(PAGE, PAGE), ("/cv", "/cv"), ("https://elsewhere.test/cv", "/cv"), ("//elsewhere.test", "/"), ("/nowhere", "/")],
)
async def test_the_log_in_leads_only_to_pages_of_ours(visitor, api, wanted, given):
    answer = await visitor.log_in(goal=wanted)
    assert (answer.url.host, answer.url.path) == ("portal.test", given)


async def test_a_log_out_ends_the_session(citizen, api):
    await citizen.post("/log-ud")
    assert (await citizen.get(PAGE)).url.path == "/log-ind"


async def test_somebody_who_is_not_on_the_list_cannot_log_in(visitor, api):
    assert (await visitor.log_in("Somebody Else")).status_code == 403


# Nothing that fails takes a page away (§3.1).

FROM_DFDG = ["/kalender", "/book-moeder-med-frist", "/jeg-soeger-job-som", "/min-profil"]
"""The pages that every citizen has, and whose data come from DFDG."""
FAILURES = ["refuse", "hang", "500", "nonsense", "garbage"]
WITHIN_SECONDS = 1.0
SLACK_SECONDS = 2.0
"""What a busy machine may add; a page that waited for what hangs would take far longer."""


@pytest.mark.parametrize("failure", FAILURES)
async def test_with_a_failing_api_every_page_answers_and_the_overviews_say_so(citizen, api, failure):
    api.failing = failure
    for path in ("/", "/log-ind", PAGE, "/kontrol", "/fejlmeld-moedebooking", *FROM_DFDG, *texts.PAGES):
        began = time.monotonic()
        page = await opened(citizen, path)
        assert time.monotonic() - began < WITHIN_SECONDS + SLACK_SECONDS
        menu = [words(link) for link in page.xpath("//nav[@class='nav']//a")]
        assert menu == [
            "Forside", "Oplysninger om dig", "Kalender", "Mødebooking", "CV", "Jeg søger job som", "Jobforslag",
            "Joblog", "Min profil",
        ]  # fmt: skip
    for path in FROM_DFDG:
        # A calendar says it of each of its parts.
        count = len(CALENDAR_PARTS) if path == "/kalender" else 1
        assert words(await opened(citizen, path)).count(UNAVAILABLE_TEXT) == count
    page = await opened(citizen)
    assert [words(section(page, name)) for name in EVERY] == [
        f"{texts.SECTIONS[name]} {UNAVAILABLE_TEXT}" for name in EVERY
    ]
    assert "banner-overskrift" not in (await citizen.get("/")).text


@pytest.mark.parametrize("failure", FAILURES)
async def test_with_a_failing_api_one_can_log_in_and_out(visitor, api, failure):
    api.failing = failure
    assert "Velkommen, Alma Eksempel" in (await visitor.log_in()).text
    assert texts.LOGGED_OUT in (await visitor.post("/log-ud")).text


async def test_an_api_that_is_not_there_at_all_takes_nothing_away(visit, web_settings, api):
    visitor = visit(dataclasses.replace(web_settings, api_url=f"http://127.0.0.1:{free_port()}"))
    await visitor.log_in()
    page = await opened(visitor)
    assert words(page).count(UNAVAILABLE_TEXT) == len(EVERY)


async def test_one_section_that_makes_no_sense_leaves_the_others_alone(citizen, api):
    api.sections["fgu"]["items"] = [{"place": 17}]
    api.sections["stu"]["state"] = "perhaps"
    api.sections["benefits"] |= {"state": "ready", "items": []}
    del api.sections["employments"]["state"]
    page = await opened(citizen)
    for name in ("fgu", "stu", "benefits", "employments"):
        assert words(section(page, name)) == f"{texts.SECTIONS[name]} {UNAVAILABLE_TEXT}"
    assert rows(page, "completed_educations") == [["Htx", "2018"]]


async def test_what_the_api_says_one_day_that_it_does_not_say_now_harms_nothing(citizen, api):
    api.sections["fgu"]["items"][0] = api.sections["fgu"]["items"][0] | {"new": 1}
    api.sections["fgu"]["new"] = 2
    assert rows(await opened(citizen), "fgu")


async def test_without_the_simulators_the_log_in_and_the_control_page_say_so(visit, web_settings, api):
    visitor = visit(dataclasses.replace(web_settings, control_url=f"http://127.0.0.1:{free_port()}"))
    assert texts.LOG_IN_NONE in words(await opened(visitor, "/log-ind"))
    assert texts.CONTROL_NONE in words(await opened(visitor, "/kontrol"))


# The frame (R10).


async def test_the_footer_has_sprogkort_under_jobsoegning_and_the_old_banner_is_gone(citizen, api):
    front = await opened(citizen, "/")
    column = front.xpath("//footer//div[h2[normalize-space()='Jobsøgning']]")[0]
    assert "Kompetenceafklaring og sprogkort" in [words(link) for link in column.xpath(".//a")]
    assert "stillingsbetegnelser" not in words(front)


async def test_every_link_of_menu_and_footer_leads_somewhere(citizen, api):
    front = await opened(citizen, "/")
    for path in sorted({*front.xpath("//header//a/@href"), *front.xpath("//footer//a/@href")} - {"#main-content"}):
        assert (await citizen.get(path)).status_code == 200


async def test_a_register_can_be_tried_again_but_not_all_the_time(citizen, api):
    api.unavailable("fgu")
    page = await opened(citizen)
    assert page.get_element_by_id("igen").get("hidden") is None
    assert (await citizen.post(f"{PAGE}/igen")).url.path == PAGE
    assert "POST /v1/overview/refresh" in api.calls
    api.fill()
    assert (await opened(citizen)).get_element_by_id("igen").get("hidden") is not None


@pytest.mark.parametrize("path", ["/nothing", f"{PAGE}/nothing", "/static/nothing.css"])
async def test_what_is_not_there_is_a_page_of_ours(visitor, api, path):
    answer = await visitor.get(path)
    assert answer.status_code == 404
    assert texts.NOT_FOUND in answer.text


# The timeline of the same data.

TIMELINE = f"{PAGE}?vis=tidslinje"


async def timeline(visitor):
    return (await opened(visitor, TIMELINE)).get_element_by_id("tidslinje")


def drawn(shown, lane):
    return [words(title) for title in shown.xpath(f".//section[@data-lane='{lane}']//a/title")]


async def test_the_page_has_a_timeline_when_asked_and_its_sections_as_before(citizen, api):
    plain, page = await opened(citizen), await opened(citizen, TIMELINE)
    assert not plain.xpath("//*[@id='tidslinje']")
    assert page.get_element_by_id("tidslinje").xpath(".//a[@data-goal]")
    (show,) = plain.get_element_by_id("til-tidslinje").xpath("a")
    assert (words(show), show.get("href")) == (texts.TIMELINE_SHOW, TIMELINE)
    (hide,) = page.get_element_by_id("til-tidslinje").xpath("a")
    assert (words(hide), hide.get("href")) == (texts.TIMELINE_HIDE, PAGE)
    for name in EVERY:
        assert rows(page, name, shown_only=False) == rows(plain, name, shown_only=False)


async def test_the_timeline_has_every_row_of_every_section_once_and_in_its_lane(citizen, api):
    page = await opened(citizen, TIMELINE)
    for one in SECTIONS:
        links = page.xpath(f"//section[@data-lane='{one.overview}']//a[contains(@data-goal, '-{one.id}')]")
        shown = rows(page, one.id, shown_only=False)
        assert len(links) == len(ITEMS[one.id])
        for link, row in zip(links, shown, strict=False):
            assert all(value in words(link) for value in row)
    assert drawn(page, "employment") == [
        "Bageriet på Hjørnet ApS, Periode: 1. februar 2021 – 30. september 2021",
        "Føtex Ærøskøbing, Periode: 1. januar 2019 – 31. maj 2020",
    ]
    assert drawn(page, "benefits")[0] == "Uddannelseshjælp, Periode: 1. marts 2021 – Ukendt, Samtidig i job: Ja"


async def test_what_has_no_date_is_listed_beside_the_timeline(citizen, api):
    api.ready("completed_educations", [{"name": "Eud", "year": None}])
    beside = [words(one) for one in (await timeline(citizen)).xpath(".//ul[@class='timeline-beside-list']/li")]
    assert beside == ["Eud, Afsluttet: Ukendt", texts.SU_ATTEMPTS.format(count=2)]


@pytest.mark.parametrize("count", [1, 3, 4, 60])
async def test_every_link_of_the_timeline_leads_to_a_row_that_is_shown_also_without_a_script(citizen, api, count):
    api.ready("employments", jobs(count))
    links = (await timeline(citizen)).xpath(".//a[contains(@data-goal, '-employments-')]")
    assert len(links) == count
    # Of the many that lead to the same page, it is read once.
    pages = {path: await opened(citizen, path or TIMELINE) for path in {one.get("href").split("#")[0] for one in links}}
    for link in links:
        path, _, goal = link.get("href").partition("#")
        row = pages[path].get_element_by_id(goal)
        assert row.get("hidden") is None
        assert words(row.xpath("td")[0]) in words(link)
        # The way there keeps the timeline.
        assert pages[path].get_element_by_id("tidslinje") is not None


async def test_a_section_that_cannot_be_fetched_is_never_an_empty_lane(citizen, api):
    api.unavailable("employments", "fgu")
    api.pending("benefits")
    api.empty("stu")
    shown = await timeline(citizen)
    lanes = {lane.get("data-lane"): words(lane) for lane in shown.xpath(".//section[@data-lane]")}
    assert lanes["employment"] == f"Job {texts.SECTIONS['employments']} {UNAVAILABLE_TEXT}"
    assert lanes["benefits"] == f"Økonomisk hjælp {texts.SECTIONS['benefits']} {texts.PENDING}"
    assert f"{texts.SECTIONS['fgu']} {UNAVAILABLE_TEXT}" in lanes["education"]
    assert texts.SECTIONS["stu"] not in lanes["education"]
    assert "Htx" in lanes["education"]


@pytest.mark.parametrize("failure", ["refuse", "500", "garbage"])
async def test_with_a_failing_api_every_lane_says_so(citizen, api, failure):
    api.failing = failure
    shown = await timeline(citizen)
    lanes = shown.xpath(".//section[@data-lane]")
    assert [lane.get("data-lane") for lane in lanes] == ["education", "employment", "benefits"]
    assert all(words(lane).endswith(UNAVAILABLE_TEXT) for lane in lanes)
    assert shown.xpath(".//*[@role='list']") == []


async def test_a_timeline_of_nothing_is_the_pages_one_sentence(citizen, api):
    api.empty()
    page = await opened(citizen, TIMELINE)
    assert page.get_element_by_id("tidslinje").get("hidden") is not None
    assert page.get_element_by_id("til-tidslinje").get("hidden") is not None
    assert words(page).count(texts.NOTHING) == 1


async def test_the_timeline_as_a_part_is_the_same_as_in_the_page(citizen, api):
    api.ready("employments", jobs(4))
    part = html.fromstring((await citizen.get(f"{PAGE}/tidslinje")).text)
    assert html.tostring(part).strip() == html.tostring(await timeline(citizen), with_tail=False)


async def test_what_the_picture_refers_to_is_there_and_no_id_is_twice(citizen, api):
    api.ready(
        "fgu",
        [
            {"place": "FGU Nord", "speciality": None, "status": "completed", "start": "2019-08-12", "end": None},
            {"place": "FGU Syd", "speciality": None, "status": "interrupted", "start": None, "end": "2022-02-01"},
        ],
    )
    page = await opened(citizen, TIMELINE)
    fades = [page.get_element_by_id(f"tidslinje-fgu-{n}").find_class("timeline-faded")[0].get("fill") for n in (1, 2)]
    assert fades == ["url(#tidslinje-ud-education)", "url(#tidslinje-ind-education)"]
    ids = page.xpath("//@id")
    assert len(ids) == len(set(ids))
    shown = page.get_element_by_id("tidslinje")
    goals = {link.get("data-goal") for link in shown.xpath(".//a[@data-goal]")}
    fills = {fill[5:-1] for fill in shown.xpath(".//@fill") if fill.startswith("url(#")}
    assert len(goals) == sum(len(api.sections[name]["items"]) for name in EVERY)
    assert (goals | fills) - set(ids) == set()


async def test_names_with_markup_are_text_in_the_timeline(citizen, api):
    api.ready("employments", [{"employer": "</title><script>x()</script>", "start": "2020-01-01", "end": None}])
    answer = await citizen.get(TIMELINE)
    assert "<script>x" not in answer.text
    assert drawn(html.fromstring(answer.text), "employment")[0].startswith("</title><script>x()</script>, Periode")


async def test_trying_again_keeps_the_timeline(citizen, api):
    api.unavailable("fgu")
    assert str((await citizen.post(f"{PAGE}/igen", vis="tidslinje")).url).endswith(TIMELINE)
    assert str((await citizen.post(f"{PAGE}/igen", vis="elsewhere")).url).endswith(PAGE)
    fields = (await opened(citizen, TIMELINE)).get_element_by_id("igen").xpath(".//input/@name")
    assert fields == ["csrf", "vis"]


async def test_the_timeline_asks_for_a_log_in(visitor, api):
    assert (await visitor.get(f"{PAGE}/tidslinje")).url.path == "/log-ind"
    api.calls.clear()
    assert (await visitor.get(f"{PAGE}/tidslinje", headers={"Sec-Fetch-Mode": "cors"})).status_code == 401
    assert api.calls == []
