"""Whatever a register sends: no report and no recording holds a number, a name or a text of it."""

import asyncio
import json
from dataclasses import asdict
from datetime import date
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from domain.cpr import Cpr
from registerbro.conformance.calls import Exchanged, problems
from registerbro.conformance.comparison import compare
from registerbro.conformance.expectations import Asked, Mark, Operation, Result
from registerbro.conformance.json_shape import expected, node, shape
from registerbro.conformance.recording import record
from registerbro.upstreams.messages import Answer, Question
from registerbro.upstreams.observation import Observed
from registerbro.upstreams.wire_types import IsoDate, Many, Name, WireModel

ME = Cpr("6102991234")
SECRETS = ("6102991234", "610299-1234", "610299 1234", "0102031234", "10150817", "Rosenkilde-Madsen", "zqxjkv wvutsz")


class Item(WireModel):
    civilRegistrationIdentifier: str  # noqa: N815 - as it is sent
    start: IsoDate
    kind: Name


class Wire(WireModel):
    items: Many[Item]
    name: Name | None = None


CONTRACT = expected(Wire, Mark.PUBLISHED, codes={"items[].kind": {"FGU", "STU"}})

secrets = st.sampled_from(SECRETS)
texts = st.one_of(
    secrets,
    st.builds("{}{}{}".format, st.sampled_from(["", "x", "Hr. ", "2020-01-01 "]), secrets, st.sampled_from(["", "!"])),
)
leaves = st.one_of(texts, st.sampled_from(["FGU", "2020-01-01", "", True, None, 7, 10150817, 1015.5, 6102991234]))
names = st.sampled_from(["items", "civilRegistrationIdentifier", "start", "kind", "name", "new"])
values = st.recursive(
    leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.one_of(names, secrets), inner, max_size=4)),
    max_leaves=12,
)


def left(text):
    return [secret for secret in (*SECRETS, "Rosenkilde", "Madsen", "zqxjkv") if secret.casefold() in text.casefold()]


@given(values)
def test_no_report_of_fields_holds_a_value(value):
    seen = compare(CONTRACT, node("", value), ME)
    told = json.dumps([[asdict(one) | {"told": list(problems(one))} for one in seen.values()]], default=sorted)
    assert left(told) == []


async def _nothing(_):
    return None


@given(values)
def test_no_recording_holds_a_value(value):
    body = json.dumps(value).encode()
    seen = Observed("http://x", Question("GET", "/v1/x", {"x-civilRegistrationIdentifier": ME.digits}))
    seen.receive_head(200, [])
    seen.receive(Answer(200, "application/json", "utf-8", body))
    asked = Asked(None, SimpleNamespace(), ME, "id", date(2026, 11, 30))
    operation = Operation("x", _nothing, CONTRACT, shape)
    text = asyncio.run(record("udb", operation, Exchanged(seen), asked, Result.NOTHING))
    assert left(text) == []
