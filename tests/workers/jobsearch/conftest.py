"""JobSearch as a real server, which knows a current and a former title of everybody."""

import pytest

from tests.workers.dfdg_gateway.service import served

CURRENT_PATH, HISTORY_PATH = "/v2/Joboenske", "/v2/Joboenske/historik"
KOK = "http://data.europa.eu/esco/occupation/3d4a3e9f-8c3e-4c3b-8d8a-4a5f6e7d8b94"
TJENER = "http://data.europa.eu/esco/occupation/5f6c50b1-ae5a-4e5d-8fac-6c7b8a9fadb6"
TITLE = {"conceptUriDa": KOK, "harUddannelse": True, "oprettelsestidspunkt": "2022-05-01T12:00:00+02:00"}
FORMER = {
    "conceptUriDa": TJENER, "aliasIdentifier": "0a1f0b6c-5f0b-4f0e-9a57-1d2c3b4a5e61", "harUddannelse": False,
    "aarSidstBrugt": 2021, "oprettelsestidspunkt": "2020-05-01T12:00:00Z", "ophoerstidspunkt": "2022-09-01T12:00:00Z",
}  # fmt: skip


@pytest.fixture
async def service():
    async with served() as it:
        it.answers = {
            CURRENT_PATH: (200, {"joboensker": [TITLE]}),
            HISTORY_PATH: (200, {"joboensker": [FORMER, TITLE]}),
        }
        yield it
