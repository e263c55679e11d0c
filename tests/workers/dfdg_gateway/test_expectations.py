"""What the registers behind DFDG share: the operation is the register's own, and its refusals have STAR's codes."""

from registerbro.conformance.expectations import Asked, Expected
from registerbro.upstreams import dfdg_protocol as protocol
from workers.dfdg_gateway.expectations import ERROR_BODY, about_a_citizen


async def test_the_registers_own_question_is_asked():
    asked = []

    async def fetch(upstream, cpr):
        asked.append((upstream, cpr))
        return "data"

    operation = about_a_citizen("x", fetch, Expected(""))
    assert await operation.call(Asked("upstream", None, "cpr", "id", None)) == "data"
    assert asked == [("upstream", "cpr")]


async def test_a_question_with_a_path_of_its_own_is_asked_there():
    async def fetch(upstream, cpr, path):
        return upstream, cpr, path

    operation = about_a_citizen("x", fetch, Expected(""), path=lambda settings: settings["path"])
    asked = Asked("upstream", {"path": "/v1/x"}, "cpr", "id", None)
    assert await operation.call(asked) == ("upstream", "cpr", "/v1/x")


def test_a_recording_keeps_the_codes_of_a_refusal():
    async def fetch(*_):
        return None

    operation = about_a_citizen("x", fetch, Expected(""))
    assert operation.refusal_codes >= protocol.NO_DATA | {"4575", "4922"}
    assert operation.assumptions[-1] is ERROR_BODY
