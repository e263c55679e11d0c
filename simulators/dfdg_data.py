"""Data of DFDG's services: builders that speak each service's own vocabulary, with days counted from today.

An item is a mapping whose `_in` names the list that it stands in. A day or a moment in it may be relative: `told` makes
the item that is sent on a day.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any, Literal
from uuid import NAMESPACE_URL, uuid5
from zoneinfo import ZoneInfo

from simulators.register_data import InDays

Day = str | InDays
Item = dict[str, Any]
Written = Literal["offset", "utc", "bare"]

DENMARK = ZoneInfo("Europe/Copenhagen")
ESCO = "http://data.europa.eu/esco/occupation/"
BUTIKSASSISTENT = f"{ESCO}0a1f0b6c-5f0b-4f0e-9a57-1d2c3b4a5e61"
PAEDAGOGMEDHJAELPER = f"{ESCO}1b2e1c7d-6a1c-4a1f-8b68-2e3d4c5b6f72"
LAGERMEDARBEJDER = f"{ESCO}2c3f2d8e-7b2d-4b2a-9c79-3f4e5d6c7a83"
KOK = f"{ESCO}3d4a3e9f-8c3e-4c3b-8d8a-4a5f6e7d8b94"
KONTORASSISTENT = f"{ESCO}4e5b4fa0-9d4f-4d4c-9e9b-5b6a7f8e9ca5"
TJENER = f"{ESCO}5f6c50b1-ae5a-4e5d-8fac-6c7b8a9fadb6"
RENGOERINGSASSISTENT = f"{ESCO}6a7d61c2-bf6b-4f6e-90bd-7d8c9ba0bec7"
GARTNER = f"{ESCO}7b8e72d3-c07c-4a7f-81ce-8e9dacb1cfd8"
IN_NO_TABLE = f"{ESCO}ffffffff-0000-4000-8000-000000000000"
"""A job title that no table of labels knows."""

ACTIVE, BOOKED, PASSED = 1, 2, 3
"""What becomes of a deadline (FriststatusType)."""
OPFOELGNING, JOBSAMTALE, INFORMATIONSMOEDE, RAADIGHED, FAELLES = 4, 7, 9, 15, 17
"""Types of meetings (SamtaleType)."""
BARSEL, FERIE, SYGDOM = 8, 10, 11
"""Types of absence (AbsenceTypeCodeList)."""
UNKNOWN_ABSENCE = 99
"""A type of absence that the list does not have."""


def on(day: Day, today: date) -> date:
    """The day that is meant, as seen today."""
    return day.on(today) if isinstance(day, InDays) else date.fromisoformat(day)


@dataclass(frozen=True, slots=True)
class At:
    """A moment of a Danish day, by the Danish clock; written with Denmark's offset, as UTC (`Z`), or without a zone."""

    day: Day
    clock: str = "00:00:00"
    written: Written = "offset"

    def told(self, today: date) -> str:
        """The moment as it is sent today."""
        moment = datetime.combine(on(self.day, today), time.fromisoformat(self.clock), DENMARK)
        match self.written:
            case "offset":
                return moment.isoformat()
            case "utc":
                return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
            case "bare":
                return moment.replace(tzinfo=None).isoformat()


def told(item: Any, today: date) -> Any:  # noqa: ANN401 - a value of JSON, with days and moments in it
    """A value as it is sent today: without `_in`, and with each day and moment as text."""
    if isinstance(item, Mapping):
        return {name: told(value, today) for name, value in item.items() if name != "_in"}
    if isinstance(item, tuple):
        return [told(value, today) for value in item]
    if isinstance(item, InDays):
        return item.on(today).isoformat()
    return item.told(today) if isinstance(item, At) else item


def identifier(key: str) -> str:
    """The id that a service gives to what we call `key`."""
    return str(uuid5(NAMESPACE_URL, key))


def _known(**fields: Any) -> Item:  # noqa: ANN401 - values of JSON
    """The fields that are told: one of None is missing."""
    return {name: value for name, value in fields.items() if value is not None}


def contact_group(number: int, start: Day, end: Day | None = None, *, written: Written = "offset") -> Item:
    """A contact group of visitering, both days included."""
    return _known(
        _in="kontaktgrupper",
        kontaktgruppeIdentifier=identifier(f"kontaktgruppe-{number}-{start}"),
        KontaktgruppeType=number,
        Starttidspunkt=At(start, written=written),
        Sluttidspunkt=At(end, "23:59:59", written) if end else None,
    )


def absence(key: str, kind: int, start: Day, end: Day | None = None, comment: str | None = None) -> Item:
    """An absence of visitering, both days included; without an end, it goes on."""
    return _known(
        _in="fravaer",
        fravaerIdentifier=identifier(f"fravaer-{key}"),
        fravaerType=kind,
        startDato=At(start),
        slutDato=At(end, "23:59:59") if end else None,
        fravaersKommentar=comment,
        anmeldelsesDato=At(start, "08:12:30", "utc"),
        fravaersAfslutningsAarsag=1 if end else None,
    )


def meeting(key: str, kind: int, start: At, end: At | None = None, minutes: int | None = None, **more: Any) -> Item:  # noqa: ANN401 - see interfaces
    """A meeting of kontaktforloeb; `more` are further fields of it, as `sted` and `afholdt`."""
    return _known(
        _in="indkaldelser",
        indkaldelseId=identifier(f"indkaldelse-{key}"),
        SamtaleType=kind,
        starttidspunkt=start,
        sluttidspunkt=end,
        varighed=minutes,
        samtaleform=more.pop("samtaleform", (8,)),
        **more,
    )


def deadline(kind: int, day: InDays, status: int = ACTIVE) -> Item:
    """A booking deadline of kontaktforloeb; the meeting may be held until ten days later. It has no id."""
    return {
        "_in": "frister",
        "FriststatusType": status,
        "SamtaleType": kind,
        "Fristdato": day,
        "SidsteAfholdelsesdato": InDays(day.days + 10, day.from_month_end),
    }


def deadline_id(deadline: Mapping[str, Any], today: date) -> str:
    """The name of a deadline at the booking vendor, told by its type and its day."""
    return f"{deadline['SamtaleType']}-{on(deadline['Fristdato'], today).isoformat()}"


def job_title(uri: str, registered: Day | None = None, **more: Any) -> Item:  # noqa: ANN401 - see interfaces
    """A current title of jobsearch; `more` are further fields of it."""
    return _known(
        _in="joboensker",
        conceptUriDa=uri,
        harUddannelse=more.pop("harUddannelse", False),
        oprettelsestidspunkt=At(registered, "10:30:00") if registered else None,
        **more,
    )


def former_title(uri: str, registered: Day | None = None, ended: Day | None = None, **more: Any) -> Item:  # noqa: ANN401
    """A title of jobsearch's history; a current one stands there without an end."""
    return job_title(uri, registered, **more) | _known(
        _in="historik", ophoerstidspunkt=At(ended, "23:30:00", "utc") if ended else None
    )


def activity(key: str, name: str | None, start: Day | At, end: Day | At | None = None) -> Item:
    """An activity of borgerindsats, both days included; without an end, it goes on."""
    return _known(
        _in="aktiviteter",
        aktivitetIdentifier=identifier(f"aktivitet-{key}"),
        navn=name,
        startdato=start,
        slutdato=end,
    )


def job_log(key: str, *tasks: Item) -> Item:
    """An entry of borgerindsats' joblog, with its tasks; it was made and changed on the day of the first."""
    day = tasks[0]["opgavedetajler"]["EventDate"]
    return {
        "_in": "joblog",
        "jobsoegningslogningIdentifier": identifier(f"joblog-{key}"),
        "oprettelsestidspunkt": At(day, "07:45:00"),
        "aendringstidspunkt": At(day, "16:20:05", "utc"),
        "joblogOpgaver": {"joblogopgave": tasks},
    }


def task(key: str, text: str, day: Day, *, done: bool = False, at: str | None = None) -> Item:
    """A task of an entry of the joblog: of one day, perhaps with an hour."""
    details = _known(
        beskrivelse=text,
        EventDate=day,
        haendelsestidspunkt=At(day, at) if at else None,
        erGennemfoert=done,
        erPrimaer=False,
    )
    return {"joblogopgaveIdentifier": identifier(f"opgave-{key}"), "opgavedetajler": details}
