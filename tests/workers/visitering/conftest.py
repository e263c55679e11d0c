"""VisiteringOgStatus as a real server, which knows a contact group and an absence of everybody."""

import pytest

from tests.workers.dfdg_gateway.service import served

STATUS_PATH, ABSENCES_PATH = "/v2/VisiteringOgStatusStatus", "/v1/Fravaer/"
GROUP = {"KontaktgruppeType": 12, "Starttidspunkt": "2021-03-01T00:00:00+01:00"}
ABSENCE = {
    "fravaerIdentifier": "6f1d9d3e-3c55-4a2d-9b57-3c2f6f1f0a01",
    "fravaerType": 10,
    "startDato": "2023-03-06T08:00:00+01:00",
    "slutDato": "2023-03-10T16:00:00+01:00",
    "anmeldelsesDato": "2023-02-01T12:00:00+01:00",
}


def status(*groups):
    return {"helbredsbegraensninger": [], "aktivitetstillaeg": [], "kontaktgrupper": [*groups], "personkategorier": []}


@pytest.fixture
async def service():
    async with served() as it:
        it.answers = {STATUS_PATH: (200, status(GROUP)), ABSENCES_PATH: (200, {"fravaer": [ABSENCE]})}
        yield it
