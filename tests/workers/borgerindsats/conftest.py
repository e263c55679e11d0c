"""Borgerindsats as a real server, which knows an activity and an entry of the joblog of everybody."""

import pytest

from tests.workers.dfdg_gateway.service import served

ACTIVITIES_PATH, JOBLOG_PATH = "/v1/Aktivitet", "/v1/Joblog"
ACTIVITY = {
    "aktivitetIdentifier": "0a1f0b6c-5f0b-4f0e-9a57-1d2c3b4a5e61", "navn": "Praktik", "startdato": "2023-03-01",
    "slutdato": "2023-03-31",
}  # fmt: skip
TASK = {
    "joblogopgaveIdentifier": "1b2e1c7d-6a1c-4a1f-8b68-2e3d4c5b6f72",
    "opgavedetajler": {
        "beskrivelse": "Søgt job", "EventDate": "2023-03-08", "haendelsestidspunkt": "2023-03-08T10:00:00+01:00",
        "erGennemfoert": True, "erPrimaer": False,
    },
}  # fmt: skip
ENTRY = {
    "jobsoegningslogningIdentifier": "2c3f2d8e-7b2d-4b2a-9c79-3f4e5d6c7a83",
    "oprettelsestidspunkt": "2023-03-08T10:00:00+01:00", "aendringstidspunkt": "2023-03-08T10:00:00+01:00",
    "joblogOpgaver": {"joblogopgave": [TASK]}, "joblogdokumenter": {"joblogdokument": []},
}  # fmt: skip


def activities(*items):
    return {"aktiviteter": {"AktivitetOpsummering": {"aktivitet": list(items)}}}


def joblog(*entries):
    return {"jobsoegningslogning": list(entries)}


def entry(*tasks):
    return ENTRY | {"joblogOpgaver": {"joblogopgave": list(tasks)}}


@pytest.fixture
async def service():
    async with served() as it:
        it.answers = {ACTIVITIES_PATH: (200, activities(ACTIVITY)), JOBLOG_PATH: (200, joblog(ENTRY))}
        yield it
