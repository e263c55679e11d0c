"""The contract with portals in other languages: the published schema is what is really stored."""

import json
from datetime import date, timedelta

import jsonschema
import pytest

from config.celery import REGISTERS
from domain.overview import (
    Benefit,
    BookingDeadline,
    CalendarEntry,
    CompletedEducation,
    ContactGroupPeriod,
    Employment,
    EntryKind,
    JobTitle,
    Status,
    StuCourse,
    SuAttempts,
)
from registerbro.storage.cache.contract import schema
from registerbro.storage.keys import entry_key

ME = "a" * 52


def entry(kind, *, end=date(2023, 3, 6), held=False, text=None):
    return CalendarEntry(id="a", kind=kind, title="Møde", start=date(2023, 3, 6), end=end, held=held, text=text)


EXAMPLES = {
    "udb": {
        "completed_educations": [CompletedEducation(name="Htx", year=None)],
        "started_educations": [],
        "fgu": [],
        "stu": [StuCourse(place="Æbelø", status=Status.ONGOING, start=date(2022, 8, 1), end=None)],
    },
    "su": {"su_attempts": [SuAttempts(count=2)]},
    "eindkomst": {"employments": [Employment(employer="Føtex", start=date(2019, 1, 1), end=date(2020, 5, 31))]},
    "ydelse": {"benefits": [Benefit(type="Kontanthjælp", start=date(2021, 3, 1), end=None, concurrent_job=True)]},
    "visitering": {
        "contact_groups": [ContactGroupPeriod(group=7, start=date(2020, 1, 1), end=None)],
        "absences": [entry(EntryKind.ABSENCE, end=None)],
    },
    "kontaktforloeb": {
        "meetings": [entry(EntryKind.MEETING, held=True, text="<p>Aftalt</p>")],
        "deadlines": [
            BookingDeadline(id="7-2023-03-17", deadline=date(2023, 3, 17), meeting_type="Samtale", active=True)
        ],
    },
    "jobsearch": {"job_titles": [JobTitle(title="Kok", registered=None, ended=None)]},
    "borgerindsats": {"activities": [entry(EntryKind.ACTIVITY, end=None)], "joblog": [entry(EntryKind.JOBLOG)]},
}


def part(name):
    return {"$ref": f"#/$defs/{name}", "$defs": schema()["$defs"]}


def test_the_published_schema_is_up_to_date(project):
    published = json.loads((project / "docs" / "cache-contract.schema.json").read_text(encoding="utf-8"))
    assert published == schema(), "run: python -m registerbro.storage.cache.contract > docs/cache-contract.schema.json"


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(schema())


def test_each_register_has_an_example():
    assert set(EXAMPLES) == set(REGISTERS)


@pytest.mark.parametrize("register", EXAMPLES)
async def test_what_is_stored_is_of_the_schema(entries, cache, register):
    await entries.mark_pending(ME, {register: timedelta(minutes=1)})
    await entries.store(
        ME, register, EXAMPLES[register], age=timedelta(0), fresh_for=timedelta(1), usable_for=timedelta(2)
    )
    await entries.fail(ME, register, "timeout", age=-timedelta(seconds=1), retry_after=timedelta(1))
    fields = await cache.hgetall(entry_key(ME, register))
    plain = {name.decode(): value.decode("latin-1") for name, value in fields.items()}
    jsonschema.validate(plain, part("entry"))
    assert {"data", "failure"} <= plain.keys()
    opened = (await entries.read(ME, [register]))[register].sections
    jsonschema.validate(opened, part(f"data/{register}"))


@pytest.mark.parametrize("register", EXAMPLES)
def test_a_missing_section_is_not_of_the_schema(register):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({}, part(f"data/{register}"))
