"""The pages of the constructed citizens, written out by hand from the rules: each shows what its citizen is for."""

import asyncio
from datetime import timedelta
from importlib import import_module

import pytest

from config.celery import REGISTERS
from domain.cpr import Cpr
from registerbro.pages.reader import Reader, SectionState
from registerbro.services import Services
from registerbro.storage.coordination.leases import CITIZENS_WISH
from simulators import citizens


def job(employer, start, end):
    return {"employer": employer, "start": start, "end": end}


def benefit(label, start, end, *, job=False):
    return {"type": label, "start": start, "end": end, "concurrent_job": job}


PAGES = {
    "EXAMPLE": {
        "completed_educations": [{"name": "Htx", "year": 2018}],
        "started_educations": [
            {"name": "Hf", "status": "ongoing", "year": 2022},
            {"name": "Eux", "status": "interrupted", "year": 2020},
        ],
        "su_attempts": [{"count": 2}],
        "fgu": [
            {
                "place": "FGU Hovedstaden", "speciality": "Almen grunduddannelse", "status": "interrupted",
                "start": "2019-08-12", "end": "2020-02-01",
            }
        ],
        "stu": [{"place": "STU Ærø", "status": "completed", "start": "2020-08-10", "end": "2021-06-25"}],
        "employments": [
            job("Bageriet på Hjørnet ApS", "2021-02-01", "2021-09-30"),
            job("Føtex Ærøskøbing", "2019-01-01", "2020-05-31"),
        ],
        "benefits": [
            benefit("Uddannelseshjælp", "2021-03-01", None, job=True),
            benefit("Sygedagpenge", "2020-06-01", "2020-07-15"),
        ],
    },
    "JOB_BOUNDARIES": {
        "employments": [
            job("Vikarbureau nr. 1", "2022-05-01", "2022-06-30"),
            job("Vikarbureau nr. 2", "2022-04-01", "2022-05-31"),
            job("Bageriet på Hjørnet ApS", "2022-03-02", "2022-03-31"),
            job("Ålborg Havn", "2022-03-01", "2022-03-31"),
            job("Føtex Ærøskøbing", "2022-01-01", "2022-03-31"),
            job("Nordjysk Rengøring A/S", "2022-01-01", "2022-03-31"),
            job("Bageriet på Hjørnet ApS", "2022-01-01", "2022-01-31"),
            job("Ålborg Havn", "2022-01-01", "2022-01-30"),
        ]
    },
    "BENEFIT_BOUNDARIES": {
        "benefits": [
            benefit("Uddannelseshjælp", "2023-01-01", None),
            benefit("Kontanthjælp", "2022-01-01", "2022-04-30", job=True),
            benefit("Arbejdsløshedsdagpenge", "2022-03-01", "2022-03-31"),
            benefit("Arbejdsløshedsdagpenge", "2022-01-01", "2022-01-31"),
        ]
    },
    "SU_BOUNDARIES": {"su_attempts": [{"count": 2}]},
    "STRANGE_NAMES": {
        "completed_educations": [{"name": "<script>alert('uddannelse')</script>", "year": 2021}],
        "employments": [
            job("Ålborg Havn", "2022-01-01", "2022-03-31"),
            job("Virksomhed med CVR-nr. 99999999", "2021-01-01", "2021-03-31"),
            job("<script>alert('job')</script> & Sønner", "2020-01-01", "2020-03-31"),
        ],
    },
    "UNKNOWN_DATES": {
        "completed_educations": [{"name": "Eud", "year": None}],
        "started_educations": [{"name": "Stx", "status": "interrupted", "year": None}],
        "fgu": [{"place": "FGU Nord", "speciality": None, "status": "ongoing", "start": "2023-01-09", "end": None}],
        "stu": [{"place": "STU Vest", "status": "ongoing", "start": "2023-02-06", "end": None}],
    },
    "BENEFITS_UNTOLD": {
        "benefits": [
            benefit("Ukendt ydelse", "2024-08-01", "2024-08-31"),
            benefit("Ukendt ydelse", "2024-06-01", "2024-06-30"),
            benefit("Ukendt ydelse", "2024-05-01", "2024-05-31", job=None),
            benefit("Selvforsørgelses- og hjemrejseydelse eller overgangsydelse", "2023-10-01", "2024-01-31", job=True),
            benefit("Uddannelseshjælp", "2023-01-01", "2023-06-30", job=None),
        ]
    },
    "NOT_JOBS": {},
    "EMPTY": {},
    "UNKNOWN": {},
}  # fmt: skip


@pytest.fixture
async def bridge(settings, control):
    async def no_wait(_):
        return None

    services, reader = Services(settings, sleep=no_wait), Reader(settings)

    async def page(digits):
        cpr = Cpr.parse(digits)
        citizen_id = await services.citizens.remember(cpr)
        for name in REGISTERS:
            await services.leases.acquire(citizen_id, name, timedelta(minutes=1), CITIZENS_WISH)
        registers = [import_module(f"workers.{name}.tasks").REGISTER for name in REGISTERS]
        await asyncio.gather(*(register.refresh(services, citizen_id) for register in registers))
        return {view.id: view for view in (await reader.read_page(cpr)).sections()}

    yield page
    await services.close()
    await reader.close()


@pytest.mark.parametrize("name", PAGES)
async def test_the_page_of_a_constructed_citizen(bridge, name):
    sections = await bridge(getattr(citizens, name).cpr)
    assert {view.id: view.items for view in sections.values() if view.items} == PAGES[name]
    assert {view.state for view in sections.values() if not view.items} <= {SectionState.EMPTY}


async def test_forty_jobs_are_all_there_newest_first(bridge):
    items = (await bridge(citizens.LONG_HISTORY.cpr))["employments"].items
    assert len(items) == 40
    assert [item["end"] for item in items] == sorted((item["end"] for item in items), reverse=True)


async def test_without_cvr_a_job_is_shown_by_its_number_and_asked_for_again_soon(bridge, control, cache):
    control.fault("cvr", {"kind": "status", "status": 503})
    section = (await bridge(citizens.NEARLY_25.cpr))["employments"]
    assert section.items == [job("Virksomhed med CVR-nr. 44444444", "2024-01-01", "2024-06-30")]
    fields = await cache.hgetall((await cache.keys("entry:*:eindkomst"))[0])
    assert int(fields[b"fresh_until"]) - int(fields[b"fetched_at"]) == timedelta(minutes=15) / timedelta(milliseconds=1)


async def test_names_are_looked_up_in_one_call_and_then_known(bridge, control):
    await bridge(citizens.LONG_HISTORY.cpr)
    await bridge(citizens.FOUR_JOBS.cpr)
    assert control.calls("cvr").total == 1
