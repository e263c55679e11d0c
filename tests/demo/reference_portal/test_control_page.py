"""The control page breaks and mends the simulators, and counts what they receive."""

import httpx
import pytest
from lxml import html

from config.settings import UPSTREAMS
from demo.reference_portal import texts


@pytest.fixture(autouse=True)
def _patient(monkeypatch):
    """How soon the page gives the simulators up is not what is tried here, and a busy machine may be slower."""
    monkeypatch.setattr("demo.reference_portal.simulator_client.ANSWER_WITHIN_SECONDS", 60.0)


@pytest.fixture(autouse=True)
def _mended(simulation):
    yield
    simulation.control.reset()


async def states(visitor):
    page = html.fromstring((await visitor.get("/kontrol")).text)
    return {
        row.get("id"): (row.get("data-condition"), row.xpath("td[2]")[0].text_content())
        for row in page.xpath("//tbody/tr")
    }


async def test_every_upstream_is_there(visitor):
    assert set(await states(visitor)) == set(UPSTREAMS) == set(texts.UPSTREAMS)


@pytest.mark.parametrize("upstream", UPSTREAMS)
async def test_an_upstream_is_taken_down_slowed_and_mended(visitor, simulation, upstream):
    for condition in ("down", "slow", "up"):
        answer = await visitor.post("/kontrol", skift=f"{upstream}:{condition}")
        assert answer.url.path == "/kontrol"
        assert (await states(visitor))[upstream][0] == condition
    others = {state for name, (state, _) in (await states(visitor)).items() if name != upstream}
    assert others == {"up"}


async def test_an_upstream_that_is_down_fails_its_callers_and_counts_them(visitor, simulation):
    await visitor.post("/kontrol", skift="cvr:down")
    async with httpx.AsyncClient(trust_env=False) as http:
        for _ in range(3):
            # The call itself breaks the contract, and is counted all the same.
            await http.get(simulation.urls["cvr"])
    assert (await states(visitor))["cvr"] == ("down", "3")


async def test_a_fault_that_was_set_elsewhere_is_seen(visitor, simulation):
    simulation.control.fault("udb", {"kind": "wrong_person"})
    simulation.control.fault("su", {"kind": "gone"})
    simulation.control.fault("ydelse", {"kind": "latency", "median": 0.5, "p99": 2.0})
    found = await states(visitor)
    assert [found[name][0] for name in ("udb", "su", "ydelse")] == ["other", "down", "up"]


@pytest.mark.parametrize("wish", ["", "udb", "udb:sideways", "nobody:down", "../reset:up"])
async def test_no_other_wish_is_carried_out(visitor, simulation, wish):
    assert (await visitor.post("/kontrol", skift=wish)).status_code == 403
    assert {state for state, _ in (await states(visitor)).values()} == {"up"}
