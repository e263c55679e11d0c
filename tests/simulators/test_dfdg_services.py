"""DFDG's four services: two questions each, in the words that are published."""

from datetime import date, datetime, timedelta

import pytest

from simulators import citizens
from simulators.register_data import danish_today
from tests.simulators.calls import KNOWN, SECOND_PATHS, SERVICES, call

SECOND = pytest.mark.parametrize(("upstream", "operation"), SECOND_PATHS)


@pytest.fixture
def ask(send):
    """The answer of a service, as JSON."""
    return lambda upstream, operation=None, **about: send(upstream, operation=operation, **about).json()


def test_contact_groups_are_one_of_four_lists_with_moments(ask):
    answer = ask("visitering")
    assert list(answer) == ["helbredsbegraensninger", "aktivitetstillaeg", "kontaktgrupper", "personkategorier"]
    (group,) = answer["kontaktgrupper"]
    assert (group["KontaktgruppeType"], group["Starttidspunkt"]) == (12, "2022-10-31T23:00:00Z")
    assert "Sluttidspunkt" not in group


def test_absence_has_moments_and_perhaps_an_end(ask):
    (ended,) = ask("visitering", "absences")["fravaer"]
    assert ended.keys() == {
        "fravaerIdentifier", "fravaerType", "startDato", "slutDato", "fravaersKommentar", "anmeldelsesDato",
        "fravaersAfslutningsAarsag",
    }  # fmt: skip
    goes_on, planned = ask("visitering", "absences", citizen=citizens.OPEN_ENDS.cpr)["fravaer"]
    assert (goes_on["fravaerType"], "slutDato" in goes_on, "slutDato" in planned) == (11, False, True)
    assert datetime.fromisoformat(goes_on["startDato"]).utcoffset() in {timedelta(hours=1), timedelta(hours=2)}


def test_a_meeting_has_a_form_and_when_it_was_held_a_text(ask):
    held, later = ask("kontaktforloeb")["indkaldelser"]
    assert (held["SamtaleType"], held["samtaleform"], held["afholdt"]) == (7, [8], True)
    assert "<script>" in held["aftaletekst"]
    assert (later["SamtaleType"], later["varighed"]) == (15, 30)
    assert "sluttidspunkt" not in later


def test_deadlines_stand_between_two_questions_and_have_no_id(ask):
    answer = ask("kontaktforloeb", "deadlines")
    assert list(answer) == ["KanSelvbooke", "Frister", "StraksbookingPaakraevet"]
    today = danish_today()
    first, *others = answer["Frister"]["Frist"]
    assert first == {
        "FriststatusType": 1, "SamtaleType": 7, "Fristdato": (today + timedelta(days=9)).isoformat(),
        "SidsteAfholdelsesdato": (today + timedelta(days=19)).isoformat(),
    }  # fmt: skip
    assert [one["FriststatusType"] for one in others] == [3, 2, 1]


@pytest.mark.parametrize(
    ("upstream", "operation", "field"),
    [("kontaktforloeb", "deadlines", "Frister"), ("borgerindsats", None, "aktiviteter")],
)
def test_an_element_that_may_be_missing_is_where_there_is_nothing_in_it(control, ask, upstream, operation, field):
    assert field in ask(upstream, operation)
    assert field not in ask(upstream, operation, citizen=citizens.EMPTY.cpr)
    control.fault(upstream, {"kind": "empty", "operation": operation})
    assert field in ask(upstream, operation)


def test_a_title_is_an_address_and_a_current_one_is_in_the_history_too(ask):
    now, ever = (ask("jobsearch", operation)["joboensker"] for operation in (None, "history"))
    assert [one["conceptUriDa"][-4:] for one in now] == ["6f72", "7a83"]
    assert [(one["conceptUriDa"][-4:], "ophoerstidspunkt" in one) for one in ever] == [
        ("6f72", False),
        ("5e61", True),
        ("adb6", True),
    ]
    assert ["oprettelsestidspunkt" in one for one in (*now, *ever)] == [True, False, True, True, False]


def test_activities_are_in_two_envelopes_and_tasks_in_an_entry_of_the_joblog(ask):
    (activity,) = ask("borgerindsats")["aktiviteter"]["AktivitetOpsummering"]["aktivitet"]
    assert date.fromisoformat(activity["startdato"]) < date.fromisoformat(activity["slutdato"])
    (entry,) = ask("borgerindsats", "joblog")["jobsoegningslogning"]
    tasks = [one["opgavedetajler"] for one in entry["joblogOpgaver"]["joblogopgave"]]
    assert [one["erGennemfoert"] for one in tasks] == [True, False, False]
    assert tasks[-1]["EventDate"] == danish_today().isoformat()
    assert all("slutdato" not in one for one in tasks)


@SECOND
def test_both_questions_are_counted_as_calls_and_one_of_them_by_citizen(control, send, upstream, operation):
    send(upstream)
    send(upstream, operation=operation)
    received = control.calls(upstream)
    assert (received.total, received.by_citizen) == (2, {KNOWN: 1})
    assert [(one.citizen, one.operation) for one in received.calls] == [(KNOWN, None), (KNOWN, operation)]


@pytest.mark.parametrize("upstream", SERVICES)
def test_a_read_is_not_told_by_its_request_id(send, upstream):
    assert [send(upstream, request_id="again").status_code for _ in range(2)] == [200, 200]


@SECOND
def test_a_service_has_no_operation_of_another(control, upstream, operation):
    for name in SERVICES:
        if name != upstream:
            with pytest.raises(ValueError, match=f"{name} has no operation {operation}"):
                control.fault(name, {"kind": "reset", "operation": operation})


@pytest.mark.parametrize("upstream", SERVICES)
def test_a_path_of_one_service_is_none_of_another(send, upstream):
    for other in SERVICES:
        if other != upstream:
            assert send(upstream, call(other)).status_code == 404
