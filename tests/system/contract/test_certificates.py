"""Registers behind gateways that want our certificate: a bad one, theirs or ours, never looks like "no data"."""

import asyncio
from datetime import timedelta

import pytest

from config.celery import REGISTERS
from registerbro.pages.reader import SectionState
from simulators import citizens
from simulators.authority import Authority
from simulators.gateway import Gateway
from tests.system.contract.conftest import SECOND
from tests.system.contract.told import assert_told

KNOWN = citizens.EXAMPLE.cpr
EXPIRED = timedelta(hours=-1)


@pytest.fixture(params=REGISTERS)
def register(request):
    return request.param


@pytest.fixture
def questions(register):
    """How many calls a fetch makes, each perhaps on a connection of its own."""
    return 2 if register in SECOND else 1


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path, "authority")


@pytest.fixture
def stranger(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    return Authority(tmp_path / "elsewhere", "stranger")


@pytest.fixture
def ours():
    return "right"


@pytest.fixture
def theirs():
    return "right"


@pytest.fixture
def gateway(simulation, register, authority, stranger, theirs):
    shown = {
        "right": lambda: authority.issue("register"),
        "of a stranger": lambda: stranger.issue("register"),
        "expired": lambda: authority.issue("register", valid_for=EXPIRED),
        "another host": lambda: authority.issue("register", host="other.example"),
    }[theirs]()
    with Gateway(simulation.urls[register], shown, authority.file) as it:
        yield it


@pytest.fixture
def own_settings(register, gateway, authority, stranger, ours):
    shown = {
        "right": lambda: authority.issue("us", as_pkcs12=True, passphrase="secret"),
        "of a stranger": lambda: stranger.issue("us", as_pkcs12=True, passphrase="secret"),
        "expired": lambda: authority.issue("us", valid_for=EXPIRED, as_pkcs12=True, passphrase="secret"),
        "absent": lambda: None,
    }[ours]()
    name = register.upper()
    own = {f"{name}__BASE_URL": gateway.url, f"{name}__CA_BUNDLE": str(authority.file)}
    certificate = {f"{name}__CLIENT_CERT": str(shown), f"{name}__CLIENT_CERT_PASSPHRASE": "secret"} if shown else {}
    return own | certificate


async def test_with_the_right_certificates_the_page_is_filled(bridge, control, gateway, register, questions):
    entry, sections = await bridge.refresh(KNOWN)
    assert (entry.failure, control.calls(register).total) == (None, questions)
    assert SectionState.READY in {view.state for view in sections.values()}
    assert gateway.shown in [["us"] * connections for connections in range(1, questions + 1)]


@pytest.mark.parametrize("ours", ["of a stranger", "expired", "absent"])
async def test_a_certificate_that_is_refused_is_told_once_and_not_called_again(
    bridge, control, gateway, register, questions, ours
):
    entry, sections = await bridge.refresh(KNOWN)
    assert (entry.failure, entry.sections) == ("not_authorised", None)
    assert control.calls(register).total == 0
    assert await asyncio.to_thread(gateway.waited_for, 1)
    assert gateway.handshakes in [[False] * connections for connections in range(1, questions + 1)]
    assert_told(sections)


@pytest.mark.parametrize("theirs", ["of a stranger", "expired", "another host"])
async def test_a_register_that_does_not_show_who_it_is_is_unavailable(bridge, control, register, theirs):
    entry, sections = await bridge.refresh(KNOWN)
    assert (entry.failure, entry.sections) == ("unavailable", None)
    assert control.calls(register).total == 0
    assert_told(sections)
