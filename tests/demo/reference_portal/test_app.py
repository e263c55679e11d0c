"""The portal as a part of something larger: how it starts, where it is mounted, and what a defect comes to."""

import dataclasses
import json

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from demo import reference_portal
from demo.installation import free_port
from demo.reference_portal import texts


async def test_it_starts_before_anything_that_it_calls_is_up(visit, web_settings):
    nobody = f"http://127.0.0.1:{free_port()}"
    visitor = visit(dataclasses.replace(web_settings, api_url=nobody, control_url=nobody))
    assert texts.WELCOME in (await visitor.get("/")).text


async def test_a_missing_or_useless_key_stops_it_at_the_start(web_settings, tmp_path):
    with pytest.raises(OSError, match="missing"):
        reference_portal.create(dataclasses.replace(web_settings, signing_key_file=tmp_path / "missing.pem"))
    useless = tmp_path / "useless.pem"
    useless.write_text("not a key")
    with pytest.raises(ValueError, match=r"."):
        reference_portal.create(dataclasses.replace(web_settings, signing_key_file=useless))


async def test_it_can_stand_beside_other_routes_of_one_server(web_settings, api):
    async def other(_):
        return PlainTextResponse("healthy")

    portal = reference_portal.create(web_settings)
    whole = Starlette(routes=[Route("/healthz", other), Mount("/", portal)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(whole), base_url="http://portal.test") as http:
        assert (await http.get("/healthz")).text == "healthy"
        assert texts.WELCOME in (await http.get("/")).text
        assert (await http.get("/cv")).headers["location"] == "/log-ind?side=/cv"
        assert texts.NOT_FOUND in (await http.get("/nothing")).text
    await reference_portal.close(portal)


async def test_a_defect_of_its_own_is_a_page_with_the_menu_and_all_headers(visitor, monkeypatch, caplog):
    await visitor.log_in()
    monkeypatch.setattr("demo.reference_portal.overview_view.page_view", lambda *_, **__: 1 / 0)
    answer = await visitor.get("/oplysninger-om-dig")
    assert answer.status_code == 500
    assert texts.DEFECT in answer.text
    assert texts.ABOUT_YOU in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert "content-security-policy" in answer.headers


async def test_without_the_design_system_the_pages_are_plain_and_work(visit, web_settings, tmp_path):
    visitor = visit(dataclasses.replace(web_settings, design_system=tmp_path))
    assert "Velkommen, Alma Eksempel" in (await visitor.log_in()).text


def test_the_lock_file_names_versions_and_checksums_and_no_registry(project):
    text = (project / "package-lock.json").read_text(encoding="utf-8")
    assert "://" not in text
    packages = {path: one for path, one in json.loads(text)["packages"].items() if path}
    assert packages["node_modules/dkfds"]["version"].startswith("11.2.")
    assert all(one["integrity"].startswith("sha512-") for one in packages.values())
