"""The contract with portals in other languages: the published schema is what is really stored."""

import json
from datetime import date, timedelta

import jsonschema
import pytest

from workers.cache.contract import schema
from workers.cache.entries import entry_key
from workers.domain.overview import (
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

ME = "a" * 52
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
    "dfdg": {
        "calendar": [
            CalendarEntry(
                id="a",
                kind=EntryKind.MEETING,
                title="Møde",
                start=date(2023, 3, 6),
                end=date(2023, 3, 6),
                held=True,
                text="<p>Aftalt</p>",
            )
        ],
        "deadlines": [
            BookingDeadline(id="b", deadline=date(2023, 3, 17), meeting_type="Samtale", active=True, booked=False)
        ],
        "job_titles": [JobTitle(title="Kok", registered=None, ended=None)],
        "contact_groups": [ContactGroupPeriod(group=7, start=date(2020, 1, 1), end=None)],
    },
}


def part(name):
    return {"$ref": f"#/$defs/{name}", "$defs": schema()["$defs"]}


def test_the_published_schema_is_up_to_date(project):
    published = json.loads((project / "docs" / "cache-contract.schema.json").read_text(encoding="utf-8"))
    assert published == schema(), "run: python -m workers.cache.contract > docs/cache-contract.schema.json"


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(schema())


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
