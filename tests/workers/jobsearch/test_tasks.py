"""A refresh stores the titles by the labels of the table that is set, and a half of the answers is a failure."""

import subprocess
import sys
from datetime import timedelta

import pytest

from domain.cpr import Cpr
from registerbro.services import Services
from registerbro.storage.coordination.leases import CITIZENS_WISH
from tests.workers.dfdg_gateway.service import UNKNOWN_PERSON
from tests.workers.jobsearch.conftest import CURRENT_PATH, HISTORY_PATH, KOK
from workers.jobsearch.tasks import REGISTER

NAME = "jobsearch"


@pytest.fixture
def own_settings():
    return {}


@pytest.fixture
async def services(service, make_settings, own_settings):
    it = Services(make_settings(JOBSEARCH__BASE_URL=service.url, JOBSEARCH__MAX_ATTEMPTS="1", **own_settings))
    yield it
    await it.close()


async def refreshed(services):
    """The citizen's entry after a refresh."""
    me = await services.citizens.remember(Cpr.parse("6102991234"))
    await services.entries.outdate(me, NAME)
    await services.leases.acquire(me, NAME, timedelta(minutes=1), CITIZENS_WISH)
    await REGISTER.refresh(services, me)
    return (await services.entries.read(me, [NAME]))[NAME]


def titles(entry):
    return [(one["title"], one["ended"]) for one in entry.sections["job_titles"]]


async def test_current_and_former_titles_are_stored_together(services):
    assert titles(await refreshed(services)) == [("kok", None), ("tjener", "2022-09-01")]


class TestWithATableOfItsOwn:
    @pytest.fixture
    def own_settings(self, tmp_path):
        path = tmp_path / "titles.csv"
        path.write_text(f"conceptUri,preferredLabel\n{KOK},køkkenchef\n", encoding="utf-8")
        return {"JOBSEARCH__TITLES_FILE": str(path)}

    async def test_the_labels_are_those_of_that_table(self, services):
        assert [title for title, _ in titles(await refreshed(services))] == [
            "køkkenchef",
            "5f6c50b1-ae5a-4e5d-8fac-6c7b8a9fadb6",
        ]


def test_a_worker_of_the_register_does_not_start_with_a_table_that_is_refused(make_settings, project, tmp_path):
    table = tmp_path / "titles.csv"
    table.write_text("conceptUri,preferredLabel\na:1\n", encoding="utf-8")
    make_settings(JOBSEARCH__BASE_URL="https://jobsearch.example", JOBSEARCH__TITLES_FILE=str(table))
    ended = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "workers.app", "worker", "-Q", "jobsearch"],
        cwd=project, check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert ended.returncode == 1
    told = f"registerbro: REGISTERBRO_JOBSEARCH__TITLES_FILE: {table}:2: the row has 1 fields, and the header 2"
    assert ended.stderr.splitlines()[-1] == told


@pytest.mark.parametrize("path", [CURRENT_PATH, HISTORY_PATH])
async def test_a_half_that_fails_is_a_failure_and_keeps_the_data_of_before(service, services, path):
    before = await refreshed(services)
    service.answers[path] = (503, {})
    after = await refreshed(services)
    assert after.failure == "unavailable"
    assert after.sections == before.sections


async def test_a_person_who_is_unknown_to_the_service_has_no_data(service, services):
    service.answers = dict.fromkeys(service.answers, UNKNOWN_PERSON)
    entry = await refreshed(services)
    assert (entry.sections, entry.failure) == ({"job_titles": []}, None)
