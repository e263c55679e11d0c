"""The simulators' token endpoint: to whom it issues tokens, and which calls it lets in."""

import base64

import httpx
import pytest

from simulators import citizens

CLIENT = {"client_id": "me", "client_secret": "s&1", "scope": "su.read"}
FORM = {"grant_type": "client_credentials", "scope": "su.read"}
IN_BODY = FORM | {"client_id": "me", "client_secret": "s&1"}


def basic(pair="me:s%261"):
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


@pytest.fixture
def su(simulation):
    simulation.control.reset()
    with httpx.Client(base_url=simulation.urls["su"], trust_env=False) as client:
        yield client
    simulation.control.reset()


def call(su, token=None):
    headers = {"x-civilRegistrationIdentifier": citizens.EXAMPLE.cpr, "x-requestId": "r-1"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    return su.get("/v1/su-forloeb", headers=headers).status_code


def test_until_the_control_expects_a_client_there_is_no_endpoint_and_no_call_is_refused(su):
    assert su.post("/oauth2/token", data=FORM, headers=basic()).status_code == 404
    assert call(su) == 200


@pytest.mark.parametrize(("form", "headers"), [(FORM, basic()), (IN_BODY, {})])
def test_a_call_is_let_in_with_a_token_until_it_is_revoked(su, simulation, form, headers):
    simulation.control.expect_token("su", **CLIENT)
    told = su.post("/oauth2/token", data=form, headers=headers).json()
    assert (told["token_type"], told["expires_in"]) == ("Bearer", 60)
    assert [call(su), call(su, "x"), call(su, told["access_token"])] == [401, 401, 200]
    simulation.control.revoke_tokens("su")
    assert call(su, told["access_token"]) == 401
    assert simulation.control.tokens("su") == {"issued": 1, "refused": 0}


def test_tokens_differ_after_the_prefix_that_the_control_gives_them(su, simulation):
    simulation.control.expect_token("su", **CLIENT, prefix="seen-")
    first, second = (su.post("/oauth2/token", data=FORM, headers=basic()).json()["access_token"] for _ in range(2))
    assert first.startswith("seen-")
    assert second.startswith("seen-")
    assert first != second
    assert call(su, second) == 200


def test_a_token_ends(su, simulation):
    simulation.control.expect_token("su", **CLIENT, expires_in=0)
    assert call(su, su.post("/oauth2/token", data=FORM, headers=basic()).json()["access_token"]) == 401


def test_a_client_with_a_certificate_has_no_secret(su, simulation):
    simulation.control.expect_token("su", **(CLIENT | {"client_secret": None}))
    assert su.post("/oauth2/token", data=FORM | {"client_id": "me"}).status_code == 200


@pytest.mark.parametrize(
    ("form", "headers", "status", "error"),
    [
        (FORM, {}, 401, "invalid_client"),
        (FORM, basic("me:other"), 401, "invalid_client"),
        (FORM, {"Authorization": "Basic æ".encode("latin-1")}, 401, "invalid_client"),
        (IN_BODY, basic(), 400, "invalid_request"),
        (FORM | {"scope": "udb.read"}, basic(), 400, "invalid_scope"),
        ({"grant_type": "client_credentials"}, basic(), 400, "invalid_scope"),
        (FORM | {"grant_type": "password"}, basic(), 400, "unsupported_grant_type"),
    ],
)
def test_another_client_is_refused(su, simulation, form, headers, status, error):
    simulation.control.expect_token("su", **CLIENT)
    answer = su.post("/oauth2/token", data=form, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert simulation.control.tokens("su") == {"issued": 0, "refused": 1}


def test_what_the_control_does_not_know_is_refused(simulation):
    with pytest.raises(httpx.HTTPStatusError):
        simulation.control.expect_token("su", client_id="me", scop="su.read")
