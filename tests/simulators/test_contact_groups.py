"""Contact groups as visitering tells them: the open ones alone; a test may change them, and a reset undoes it."""

from datetime import date, timedelta

import httpx
import pytest

from simulators import citizens
from simulators.contact_groups import Change, OpenGroups
from simulators.register_data import danish_today
from tests.simulators.calls import KNOWN, origin

VISITERING = "visitering"
FLEKSJOB = citizens.FLEKSJOB_ENDED.cpr


@pytest.fixture
def groups(send):
    """The contact groups that a citizen is told to have."""

    def groups(cpr):
        return [one["KontaktgruppeType"] for one in send(VISITERING, citizen=cpr).json()["kontaktgrupper"]]

    return groups


def test_only_what_is_open_now_is_told(groups):
    assert [groups(one.cpr) for one in (citizens.FLEKSJOB_ENDED, citizens.FLEKSJOB_AND_ANOTHER)] == [[], [2]]
    assert groups(citizens.FLEKSJOB_CHANGED.cpr) == [2]
    assert groups(KNOWN) == [12]


def test_groups_are_changed_while_the_simulator_runs_for_one_citizen_alone(control, groups):
    control.set_contact_groups(FLEKSJOB, [{"group": 7, "start": "2020-01-01"}])
    assert (groups(FLEKSJOB), groups(KNOWN)) == ([7], [12])
    control.set_contact_groups(FLEKSJOB, [])
    assert groups(FLEKSJOB) == []
    control.set_contact_groups(FLEKSJOB, [{"group": 2}])
    assert groups(FLEKSJOB) == [2]


def test_a_group_begins_today_unless_it_is_said(control, send):
    control.set_contact_groups(KNOWN, [{"group": 2}])
    (group,) = send(VISITERING).json()["kontaktgrupper"]
    assert group["Starttidspunkt"].startswith(danish_today().isoformat())
    assert "Sluttidspunkt" not in group


def test_a_reset_undoes_every_change(control, groups):
    control.set_contact_groups(FLEKSJOB, [{"group": 7, "start": "2020-01-01"}])
    control.reset()
    assert groups(FLEKSJOB) == []


def test_absence_stays_when_groups_change(control, send):
    before = send(VISITERING, operation="absences").json()
    control.set_contact_groups(KNOWN, [])
    assert send(VISITERING, operation="absences").json() == before != {"fravaer": []}


def test_a_fault_is_of_the_groups_as_they_are_now(control, send):
    control.set_contact_groups(KNOWN, [{"group": 28}])
    control.fault(VISITERING, {"kind": "unknown_value"})
    assert [one["KontaktgruppeType"] for one in send(VISITERING).json()["kontaktgrupper"]] == [28, 999]


def test_who_is_not_known_has_no_groups_whatever_is_set(control, send):
    control.set_contact_groups(citizens.UNKNOWN.cpr, [{"group": 2}])
    assert send(VISITERING, citizen=citizens.UNKNOWN.cpr).json()["fejl"][0]["kode"] == "1010"


@pytest.mark.parametrize(
    "change",
    [
        {"cpr": citizens.STRANGER, "groups": []},
        {"cpr": "610299-1234", "groups": []},
        {"cpr": KNOWN},
        {"cpr": KNOWN, "groups": [7]},
        {"cpr": KNOWN, "groups": [{"group": -1}]},
        {"cpr": KNOWN, "groups": [{"group": 7, "start": "2020-02-30"}]},
        {"cpr": KNOWN, "groups": [{"group": 7, "start": "2020-02-02", "end": "2020-02-01"}]},
        {"cpr": KNOWN, "groups": [{"group": 7, "colour": "red"}]},
        [],
    ],
)
def test_what_is_no_change_is_refused_and_changes_nothing(simulation, control, groups, http, change):
    answer = http.post(f"{origin(simulation.urls[VISITERING])}/__sim__/contact-groups", json=change)
    assert answer.status_code == 422
    assert KNOWN not in answer.text
    assert groups(KNOWN) == [12]


def test_the_client_says_that_a_change_was_refused(control):
    with pytest.raises(httpx.HTTPStatusError):
        control.set_contact_groups(citizens.STRANGER, [])


def test_it_is_changed_on_the_control_endpoint_too_and_no_other_upstream_has_any(simulation, control, groups, http):
    change = {"cpr": FLEKSJOB, "groups": [{"group": 2}]}
    assert http.post(f"{simulation.urls['control']}/__sim__/visitering/contact-groups", json=change).status_code == 204
    assert groups(FLEKSJOB) == [2]
    assert http.post(f"{simulation.urls['control']}/__sim__/udb/contact-groups", json=change).status_code == 404
    assert control.calls(VISITERING).total == 1


def test_both_days_of_a_group_are_included():
    groups, start, end = OpenGroups(), date(2026, 3, 28), date(2026, 3, 31)
    groups.change(Change(cpr=KNOWN, groups=[{"group": 7, "start": start, "end": end}]), start)
    open_on = [day for day in (start + timedelta(days=n) for n in range(-2, 7)) if groups.of(citizens.EXAMPLE, day)]
    assert open_on == [start + timedelta(days=n) for n in range(4)]
