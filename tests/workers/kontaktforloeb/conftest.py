"""Kontaktforloeb as a real server, which knows a meeting and a deadline of everybody."""

import pytest

from tests.workers.dfdg_gateway.service import served

MEETINGS_PATH, DEADLINES_PATH = "/v2/Indkaldelse", "/v1/Borgerstatus"
MEETING = {"indkaldelseId": "m-1", "SamtaleType": 7, "starttidspunkt": "2023-03-08T09:00:00+01:00"}
DEADLINE = {"FriststatusType": 1, "SamtaleType": 7, "Fristdato": "2023-03-17", "SidsteAfholdelsesdato": "2023-03-27"}
STATUS = {"KanSelvbooke": True, "Frister": {"Frist": [DEADLINE]}, "StraksbookingPaakraevet": False}


@pytest.fixture
async def service():
    async with served() as it:
        it.answers = {MEETINGS_PATH: (200, {"indkaldelser": [MEETING]}), DEADLINES_PATH: (200, STATUS)}
        yield it
