"""Celery's remote control in a worker of ours: it answers, and shows no secret; what an installation wants is kept."""

import json

import pytest
from celery.worker.control import Panel

from config.celery import configuration
from config.settings import SettingsError, without_credentials
from workers.process import remote_control


@pytest.fixture
def panel(monkeypatch):
    monkeypatch.setattr(Panel, "data", dict(Panel.data))
    return Panel.data


def test_of_celerys_commands_those_are_left_that_ask(panel):
    remote_control.restrict()
    assert set(panel) == remote_control.ASKS < set(remote_control._EVERY)
    changing = {name for name, meta in Panel.meta.items() if meta.type == "control"} - {"heartbeat"}
    assert not changing & set(panel)


def test_what_an_installation_names_is_obeyed_as_well(panel):
    remote_control.restrict(("revoke", "rate_limit"))
    assert set(panel) == remote_control.ASKS | {"revoke", "rate_limit"}


def test_a_command_that_celery_has_not_is_told_by_the_settings_name(panel):
    with pytest.raises(SettingsError, match=r"^REGISTERBRO_REMOTE_CONTROL: Celery has no command shutdwn$"):
        remote_control.restrict(("shutdwn",))


@pytest.mark.parametrize(
    "url",
    [
        "redis://udb:planted@broker:6379/0",
        "rediss://udb:planted@broker:6379/0?ssl_cert_reqs=required&ssl_password=planted",
        "sentinel://udb:planted@one:26379;sentinel://udb:planted@two:26379",
        "redis+socket://udb:planted@/run/redis.sock?virtual_host=0&password=planted",
        "amqps://udb:planted@rabbit/vhost?ssl_keyfile_password=planted",
    ],
)
def test_no_configuration_shows_what_the_broker_is_signed_in_to_with(make_settings, empty_redis, url):
    settings = make_settings(BROKER_URL=url, COORDINATION_URL=empty_redis["broker"].url)
    assert "planted" not in repr(settings) + repr(configuration(settings))
    assert configuration(settings)["broker_url"] == without_credentials(url)


async def test_the_apps_connections_have_the_password_and_show_it_to_nobody(app, make_settings, empty_redis):
    from tests.support import app_for_environment

    url = "rediss://udb:planted@broker:6379/0?ssl_cert_reqs=required&ssl_password=planted"
    make_settings(BROKER_URL=url, COORDINATION_URL=empty_redis["broker"].url)
    ours = app_for_environment()
    connections = [ours.connection(), ours.connection_for_read(), ours.connection_for_write()]
    assert {one.password for one in connections} == {"planted"}
    state = type("State", (), {"consumer": type("Consumer", (), {})})
    state.consumer.controller = type("Worker", (), {"stats": lambda: {"broker": connections[0].info(), "pid": 1}})
    shown = [
        *map(repr, connections),
        ours.bugreport(),
        repr(ours.conf),
        json.dumps(remote_control._stats(state), default=repr),
    ]
    assert "planted" not in "".join(shown)
    assert json.loads(shown[-1])["broker"]["hostname"] == "broker"


@pytest.mark.parametrize("name", ["BROKER_URL", "LEDGER_URL", "CACHE_URL", "COORDINATION_URL"])
@pytest.mark.parametrize("password", ["pl/anted", "pl#anted", "pl?anted", "1/anted", "pl[anted", "12#an@ted"])
def test_a_url_whose_password_would_be_misread_is_refused_without_showing_it(make_settings, name, password):
    with pytest.raises(SettingsError) as refused:
        make_settings(**{name: f"redis://udb:{password}@host:6379/0"})
    assert str(refused.value).startswith(f"REGISTERBRO_{name}: ")
    assert "anted" not in str(refused.value)


@pytest.mark.parametrize("name", ["JWKS_URL", "TRACING_ENDPOINT"])
def test_an_address_that_is_shown_in_full_takes_no_password(make_settings, name):
    with pytest.raises(SettingsError, match="must hold no credentials") as refused:
        make_settings(**{name: "https://me:planted@host/path"})
    assert "planted" not in str(refused.value)
