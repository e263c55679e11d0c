"""A refresh of the whole register: what CVR says of employers reaches the page, and no person's name the open."""

import json
import subprocess
import sys
from datetime import timedelta

import pytest
from aiohttp import web

from demo.installation import DEMO_CREDENTIALS
from domain.cpr import Cpr
from registerbro.rules import CurrentRules
from registerbro.services import Services
from registerbro.storage.coordination import partial_answers
from registerbro.storage.coordination.leases import CITIZENS_WISH
from simulators import Simulation, citizens
from simulators.authority import Authority
from workers.eindkomst.tasks import REGISTER

PERSON = "Zebra Finke"


@pytest.fixture(scope="module")
def simulation():
    with Simulation() as running:
        yield running


@pytest.fixture
async def services(simulation, server, make_settings, app):
    """With the simulators' eIndkomst, and a CVR that says what the test has it say."""
    urls = {"EINDKOMST__BASE_URL": simulation.urls["eindkomst"], "CVR__BASE_URL": server.url}
    it = Services(make_settings(**(DEMO_CREDENTIALS | urls)))
    yield it
    await it.close()


def everybody_is(form, *odd):
    """Each company that is asked for is called after a person and of this form; behind hits that cannot be read."""

    async def respond(received):
        numbers = json.loads(received.body)["query"]["terms"]["Vrvirksomhed.cvrNummer"]
        metadata = {"nyesteNavn": {"navn": PERSON}, "nyesteVirksomhedsform": {"virksomhedsformkode": form}}
        found = [
            {"_source": {"Vrvirksomhed": {"cvrNummer": number, "virksomhedMetadata": metadata}}} for number in numbers
        ]
        return web.json_response({"hits": {"hits": [*odd, *found]}})

    return respond


async def refreshed(services):
    """The employers on the citizen's page, after a refresh."""
    me = await services.citizens.remember(Cpr.parse(citizens.EXAMPLE.cpr))
    await services.leases.acquire(me, "eindkomst", timedelta(minutes=1), CITIZENS_WISH)
    await REGISTER.refresh(services, me)
    entry = (await services.entries.read(me, ["eindkomst"]))["eindkomst"]
    return {job["employer"] for job in entry.sections["employments"]}


async def everything_in(redis):
    # Compressed, a name need not be there in one piece.
    await redis.config_set("rdbcompression", "no")
    return b"".join([key + await redis.dump(key) for key in await redis.keys("*")])


async def test_a_sole_proprietors_name_is_on_the_page_and_nowhere_in_the_open(services, server):
    server.respond = everybody_is(10)
    assert await refreshed(services) == {PERSON}
    assert await services.cache.keys("employer:*")
    for redis in (services.cache, services.coordination, services.ledger.redis):
        assert PERSON.encode() not in await everything_in(redis)


async def test_another_companys_name_is_found_where_a_persons_must_not_be(services, server):
    """So that the search of the test above can be believed."""
    server.respond = everybody_is(80)
    await refreshed(services)
    assert PERSON.encode() in await everything_in(services.cache)


async def test_a_company_that_cannot_be_read_is_told_as_left_out_of_the_register(services, server, logged):
    server.respond = everybody_is(80, 5, {"_source": []})
    assert await refreshed(services) == {PERSON}
    (line,) = (line for line in logged if line["event"] == "items_left_out")
    assert (line["register"], line["kinds"]) == ("eindkomst", {"company": 2})
    assert line["places"] == {"company": ["hit 1", "hit 2"]}
    found = (await partial_answers.status(services.coordination, ["eindkomst"]))["eindkomst"]
    assert found.kinds == {"company": 2}


async def test_what_is_pay_for_work_is_told_by_the_rules_in_force_without_a_restart(services, server, tmp_path):
    server.respond = everybody_is(80)
    path = tmp_path / "rules.toml"
    path.write_text("[[income_type]]\ncode = 0\nwork = false\n", encoding="utf-8")
    assert await refreshed(services) == {PERSON}
    services.rules = CurrentRules(services.settings.model_copy(update={"rules_file": path}))
    await services.cache.flushall()
    assert await refreshed(services) == set()


def test_a_worker_with_a_key_that_cannot_sign_as_it_is_set_stops_at_its_start_with_one_line(
    make_settings, project, tmp_path
):
    key = Authority(tmp_path, "authority").issue("us")
    make_settings(
        EINDKOMST__BASE_URL="http://127.0.0.1:1", CVR__BASE_URL="http://127.0.0.1:1", EINDKOMST__SIGNING_CERT=str(key)
    )
    ended = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "workers.app", "worker", "-Q", "eindkomst"],
        cwd=project, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode != 0
    assert "REGISTERBRO_EINDKOMST__SIGNING_CERT: holds an EC key" in ended.stderr
    assert "Traceback" not in ended.stderr
