"""A history as long as they get comes in one call, in little memory, and holds nobody else up."""

import asyncio
import json
import sys

from tests.workers.eindkomst.answers import CPR, INCOME_TYPE, KIND, Form, about, company, report, wages
from tests.workers.eindkomst.conftest import xml

MOST_MIB = 150


def large(reports=1000):
    """Some 10 MiB: each report has a second income with the forms of amounts and holiday pay that real ones have."""
    amounts = {f"1{number:017}": "18500.00" for number in range(57, 64)}
    below = [Form("16000", {f"1{19:017}": "0001"}, below=[Form("16001", amounts), Form("16200", amounts)])]
    each = [
        report(
            wages(),
            Form("11000", {KIND: "I", INCOME_TYPE: "29"}, below=below),
            start=f"{2008 + number // 60}-{number // 5 % 12 + 1:02}-01",
            end=f"{2008 + number // 60}-{number // 5 % 12 + 1:02}-28",
            own_id=f"r-{number}",
        )
        for number in range(reports)
    ]
    return about(*(company(*each[at::5], se=f"{10000000 + at}") for at in range(5))).replace(b">12345678<", b"><")


async def test_a_thousand_reports_take_one_call_and_little_memory_and_hold_nobody_up(server):
    body = large()

    async def respond(_):
        return xml(body)

    server.respond = respond
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.workers.eindkomst.large", server.url, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await child.communicate()
    took = json.loads(output.splitlines()[-1])
    print(f"an answer of {len(body) / 1024**2:.1f} MiB: {took}")
    assert len(server.received) == 1
    assert CPR.digits.encode() in server.received[0].body
    assert (took["reports"], took["left_out"], took["employments"]) == (2000, 0, 5)
    assert took["mib_beyond_the_start"] < MOST_MIB
