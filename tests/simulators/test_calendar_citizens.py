"""What the constructed citizens have at DFDG's services: every form that calendar, job titles and groups come in."""

from collections import Counter
from datetime import date, timedelta

from domain.cpr import Cpr
from simulators import calendar_citizens, citizens
from simulators.citizens import CITIZENS
from simulators.dfdg_data import ACTIVE, BOOKED, ESCO, IN_NO_TABLE, PASSED, deadline_id, on, told
from simulators.register_data import DFDG_SERVICES

TODAY = date(2026, 11, 23)
TYPES_OF_ABSENCE = {1, 2, 3, 4, 6, 7, 8, 9, 10, 11}
TYPES_OF_MEETINGS = {4, 7, 8, 9, 10, 11, 12, 13, 15, 17}
"""Those that are published with a name."""


def kept(service, of):
    """Every citizen's items of a service's list, as they are told."""
    return [told(item, TODAY) for one in CITIZENS for item in getattr(one, service) or () if item["_in"] == of]


def test_each_is_known_to_dfdgs_services_alone_and_can_log_in():
    own = [one for one in vars(calendar_citizens).values() if isinstance(one, citizens.Citizen)]
    assert len(own) == 5
    for citizen in own:
        assert citizen in CITIZENS
        assert set(citizen.known_to) <= {*DFDG_SERVICES}
        assert Cpr.parse(citizen.cpr)


def test_a_contact_group_7_has_ended_alone_beside_another_and_on_the_day_on_which_another_began():
    ended = calendar_citizens.FLEKSJOB_ENDED, calendar_citizens.FLEKSJOB_AND_ANOTHER, calendar_citizens.FLEKSJOB_CHANGED
    for citizen in ended:
        first = citizen.visitering[0]
        assert (first["KontaktgruppeType"], on(first["Sluttidspunkt"].day, TODAY) < TODAY) == (7, True)
    assert [len(citizen.visitering) for citizen in ended] == [1, 2, 2]
    seven, two = calendar_citizens.FLEKSJOB_CHANGED.visitering
    assert two["Starttidspunkt"].day == seven["Sluttidspunkt"].day


def test_no_citizen_has_more_than_one_contact_group_open_on_a_day_but_where_one_follows_another():
    for citizen in CITIZENS:
        groups = [item for item in citizen.visitering or () if item["_in"] == "kontaktgrupper"]
        assert sum("Sluttidspunkt" not in item for item in groups) <= 1


def test_absence_is_there_with_and_without_an_end_and_of_a_type_that_no_list_has():
    absences = kept("visitering", "fravaer")
    assert {"slutDato" in item for item in absences} == {True, False}
    assert len({item["fravaerType"] for item in absences} - TYPES_OF_ABSENCE) == 1


def test_a_meeting_ends_at_a_moment_after_some_minutes_or_at_no_time_that_is_told():
    meetings = kept("kontaktforloeb", "indkaldelser")
    assert {("sluttidspunkt" in item, "varighed" in item) for item in meetings} == {
        (True, False),
        (False, True),
        (False, False),
    }
    assert {item["SamtaleType"] for item in meetings} < TYPES_OF_MEETINGS
    moments = [item["starttidspunkt"] for item in meetings]
    assert {"Z" if text.endswith("Z") else "+" if "+" in text else "" for text in moments} == {"Z", "+", ""}


def test_the_meeting_that_was_held_tries_what_a_page_must_withstand():
    (held,) = [item for item in kept("kontaktforloeb", "indkaldelser") if item.get("afholdt")]
    assert held["starttidspunkt"] < TODAY.isoformat()
    assert all(part in held["aftaletekst"] for part in ("<script>", "onclick=", "style=", "<strong>", 'href="https://'))


def test_every_status_of_a_deadline_is_there_and_one_is_active_still_whose_day_has_passed():
    deadlines = kept("kontaktforloeb", "frister")
    assert {item["FriststatusType"] for item in deadlines} == {ACTIVE, BOOKED, PASSED}
    late = [item for item in deadlines if item["Fristdato"] < TODAY.isoformat()]
    assert {item["FriststatusType"] for item in late} == {ACTIVE, PASSED}
    assert any(item["Fristdato"] == TODAY.isoformat() for item in deadlines)


def test_no_two_deadlines_of_all_citizens_have_one_type_and_day_since_the_vendor_tells_them_by_no_more():
    for days in range(800):
        today = TODAY + timedelta(days=days)
        named = Counter(
            deadline_id(item, today)
            for one in CITIZENS
            for item in one.kontaktforloeb or ()
            if item["_in"] == "frister"
        )
        assert set(named.values()) == {1}


def test_job_titles_are_esco_addresses_one_of_which_no_table_knows():
    uris = [item["conceptUriDa"] for item in (*kept("jobsearch", "joboensker"), *kept("jobsearch", "historik"))]
    assert all(uri.startswith(ESCO) for uri in uris)
    assert IN_NO_TABLE in uris


def test_each_current_title_with_a_date_is_in_the_history_too_and_some_of_either_have_no_date():
    for citizen in CITIZENS:
        items = citizen.jobsearch or ()
        now, ever = (
            [(item["conceptUriDa"], item.get("oprettelsestidspunkt")) for item in items if item["_in"] == of]
            for of in ("joboensker", "historik")
        )
        assert {one for one in now if one[1]} <= set(ever)
    for of in ("joboensker", "historik"):
        assert {"oprettelsestidspunkt" in item for item in kept("jobsearch", of)} == {True, False}
    assert {"ophoerstidspunkt" in item for item in kept("jobsearch", "historik")} == {True, False}


def test_an_activity_has_no_end_another_no_name_and_days_are_told_as_days_and_as_moments():
    activities = kept("borgerindsats", "aktiviteter")
    assert {"slutdato" in item for item in activities} == {True, False}
    assert {"navn" in item for item in activities} == {True, False}
    assert {"T" in item["startdato"] for item in activities} == {True, False}


def test_an_entry_of_a_joblog_has_three_tasks_one_of_which_is_done():
    entries = kept("borgerindsats", "joblog")
    done = [
        [one["opgavedetajler"]["erGennemfoert"] for one in entry["joblogOpgaver"]["joblogopgave"]] for entry in entries
    ]
    assert [True, False, False] in done
    assert any(len(tasks) == 1 for tasks in done)


def test_no_two_items_of_a_service_have_one_id():
    for service, of, name in (
        ("visitering", "fravaer", "fravaerIdentifier"),
        ("kontaktforloeb", "indkaldelser", "indkaldelseId"),
        ("borgerindsats", "aktiviteter", "aktivitetIdentifier"),
        ("borgerindsats", "joblog", "jobsoegningslogningIdentifier"),
    ):
        ids = [item[name] for item in kept(service, of)]
        assert len(set(ids)) == len(ids) > 1
    tasks = [one for entry in kept("borgerindsats", "joblog") for one in entry["joblogOpgaver"]["joblogopgave"]]
    assert len({one["joblogopgaveIdentifier"] for one in tasks}) == len(tasks)


def test_nothing_ends_before_it_begins():
    for item in kept("visitering", "fravaer"):
        assert item["startDato"] <= item.get("slutDato", "9")
    for item in kept("borgerindsats", "aktiviteter"):
        assert item["startdato"] <= item.get("slutdato", "9")
    for item in kept("kontaktforloeb", "indkaldelser"):
        assert item["starttidspunkt"] <= item.get("sluttidspunkt", "9")
