"""Which addresses there are: each exactly as it is written, and none that is made of what a request says."""

import pytest

from tests.portal.conftest import problem


@pytest.mark.parametrize("host", ["evil.example", "evil.example/x?", "["])
@pytest.mark.parametrize("header", ["Host", "X-Forwarded-Host"])
async def test_a_slash_too_many_is_another_address_and_leads_nowhere(client, header, host):
    for path in ("/v1/overview/", "/v1/banner/", "/v1/fault-reports/", "/healthz/", "/readyz/"):
        answer = await client.get(path, headers={header: host})
        assert problem(answer) == (404, "not-found")
        assert "location" not in answer.headers
