"""A refresh of the register: its benefits have the names of the rules in force, and those of a changed file at once."""

from datetime import timedelta

import pytest

from demo.installation import DEMO_CREDENTIALS
from domain.cpr import Cpr
from registerbro import rules
from registerbro.services import Services
from registerbro.storage.coordination import unknown_values
from registerbro.storage.coordination.leases import CITIZENS_WISH
from simulators import Simulation, citizens
from workers.ydelse.normalise import UNKNOWN_BENEFIT
from workers.ydelse.tasks import REGISTER

LABELLED = '[[benefit]]\ntype = "UDDANNELSESHJAELP"\nlabel = "{}"\n'


@pytest.fixture(scope="module")
def simulation():
    with Simulation() as running:
        yield running


@pytest.fixture
async def services(simulation, rules_file, make_settings, app, monkeypatch):
    monkeypatch.setattr(rules, "LOOK_EVERY_SECONDS", 0)
    own = {"YDELSE__BASE_URL": simulation.urls["ydelse"], "RULES_FILE": str(rules_file)}
    it = Services(make_settings(**(DEMO_CREDENTIALS | own)))
    yield it
    await it.close()


async def refreshed(services):
    """The names of the benefits on the citizen's page, after a refresh."""
    me = await services.citizens.remember(Cpr.parse(citizens.EXAMPLE.cpr))
    await services.entries.outdate(me, "ydelse")
    await services.leases.acquire(me, "ydelse", timedelta(minutes=1), CITIZENS_WISH)
    await REGISTER.refresh(services, me)
    entry = (await services.entries.read(me, ["ydelse"]))["ydelse"]
    return {benefit["type"] for benefit in entry.sections["benefits"]}


async def test_benefits_have_the_names_of_the_rules_in_force_without_a_restart(services, rules_file):
    assert "Uddannelseshjælp" in await refreshed(services)
    rules_file.write_text(LABELLED.format("Hjælp til unge"), encoding="utf-8")
    names = await refreshed(services)
    assert "Hjælp til unge" in names
    assert "Uddannelseshjælp" not in names


async def test_benefits_of_unknown_types_alone_are_shown_as_unknown_and_named_to_operators(services, rules_file):
    rules_file.write_text('[[benefit]]\ntype = "DAGPENGE"\nlabel = "x"\nto = 2000-12-31\n', encoding="utf-8")
    cpr = Cpr.parse(
        next(one.cpr for one in citizens.CITIZENS if {y["ydelsestype"] for y in one.ydelse or ()} == {"DAGPENGE"})
    )
    me = await services.citizens.remember(cpr)
    await services.leases.acquire(me, "ydelse", timedelta(minutes=1), CITIZENS_WISH)
    await REGISTER.refresh(services, me)
    entry = (await services.entries.read(me, ["ydelse"]))["ydelse"]
    assert ({one["type"] for one in entry.sections["benefits"]}, entry.failure) == ({UNKNOWN_BENEFIT}, None)
    assert list((await unknown_values.status(services.coordination))["ydelse"].values) == ["ydelsestype DAGPENGE"]


async def test_a_type_that_the_rules_do_not_know_on_its_day_is_named_to_operators(services, rules_file):
    rules_file.write_text(LABELLED.format("Hjælp til unge") + "to = 2020-12-31\n", encoding="utf-8")
    assert "Hjælp til unge" not in await refreshed(services)
    assert (await unknown_values.status(services.coordination))["ydelse"].values == {"ydelsestype UDDANNELSESHJAELP": 1}
