"""Normalising of Borgerindsats' answers: the activities and the joblog of the calendar (R10; §3.2)."""

from collections.abc import Iterator

from domain.overview import CalendarEntry, EntryKind, LeftOut, Normalised
from registerbro.upstreams.item_reading import left_out, readable
from workers.borgerindsats.wire import Aktivitet, AktivitetSvar, Joblogopgave, JoblogOpgaver, JoblogSvar
from workers.dfdg_gateway.calendar_entries import in_order

UNNAMED_ACTIVITY = "Indsats"
"""The title on the page of an activity without one."""


def normalise(activities: AktivitetSvar | None, joblog: JoblogSvar | None) -> Normalised:
    """The two sections that the service fills, by their days; None, an unknown person, leaves a section empty.

    An activity without an end stays open. Of the joblog, each task is an entry of the one day that it has.
    """
    listed = activities.aktiviteter.opsummering.aktivitet if activities and activities.aktiviteter else ()
    entries = joblog.jobsoegningslogning if joblog else ()
    logged = [(number, one.joblog_opgaver) for number, one in enumerate(entries, 1) if not isinstance(one, LeftOut)]
    return Normalised(
        {
            "activities": in_order(map(_activity, readable(listed))),
            "joblog": in_order(_task(task) for _, tasks in logged for task in readable(tasks.joblogopgave)),
        },
        left_out=(
            *left_out(listed),
            *left_out(entries),
            *(one for number, tasks in logged for one in _left_out(number, tasks)),
        ),
    )


def _activity(activity: Aktivitet) -> CalendarEntry:
    return CalendarEntry(
        id=activity.aktivitet_identifier,
        kind=EntryKind.ACTIVITY,
        title=activity.navn or UNNAMED_ACTIVITY,
        start=activity.startdato,
        end=activity.slutdato,
        held=False,
        text=None,
    )


def _task(task: Joblogopgave) -> CalendarEntry:
    day = task.opgavedetaljer.event_date
    return CalendarEntry(
        id=task.joblogopgave_identifier,
        kind=EntryKind.JOBLOG,
        title=task.opgavedetaljer.beskrivelse,
        start=day,
        end=day,
        held=False,
        text=None,
    )


def _left_out(number: int, tasks: JoblogOpgaver) -> Iterator[LeftOut]:
    """The tasks of an entry that cannot be read, each with the entry's place before its own."""
    for one in left_out(tasks.joblogopgave):
        yield LeftOut(one.kind, f"jobsoegningslogning {number}, {one.place}")
