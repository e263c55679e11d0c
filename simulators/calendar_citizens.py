"""Constructed citizens of whom DFDG's services alone know something: for calendar, job titles and contact groups."""

from simulators.dfdg_data import (
    FERIE,
    GARTNER,
    IN_NO_TABLE,
    INFORMATIONSMOEDE,
    JOBSAMTALE,
    KONTORASSISTENT,
    RENGOERINGSASSISTENT,
    SYGDOM,
    UNKNOWN_ABSENCE,
    At,
    absence,
    activity,
    contact_group,
    deadline,
    former_title,
    job_log,
    job_title,
    meeting,
    task,
)
from simulators.register_data import Citizen, InDays, month_end

FLEKSJOB_ENDED = Citizen(
    "7106064256",
    "Åse Fleksjob",
    "contact group 7 ended and no other is open, which visitering does not tell: it has only what is open now",
    (),
    visitering=(contact_group(7, "2020-01-01", InDays(-10)),),
    jobsearch=(job_title(KONTORASSISTENT), former_title(KONTORASSISTENT)),
)
FLEKSJOB_AND_ANOTHER = Citizen(
    "7207074257",
    "Benny Togrupper",
    "contact group 7 ended while another was open, and is: the CV is searchable",
    (2,),
    visitering=(contact_group(7, "2020-01-01", InDays(-10)), contact_group(2, "2021-01-01")),
)
FLEKSJOB_CHANGED = Citizen(
    "7308084258",
    "Dorthe Skift",
    "contact group 7 ended on the day on which another began: the CV is searchable",
    (2,),
    visitering=(contact_group(7, "2020-01-01", InDays(-10)), contact_group(2, InDays(-10))),
)
OPEN_ENDS = Citizen(
    "7809084273",
    "Thea Åbenende",
    "an absence, an activity and a meeting without an end, and a joblog of three tasks, one of them done",
    visitering=(
        contact_group(12, InDays(-200), written="bare"),
        absence("thea-1", SYGDOM, InDays(-4)),
        absence("thea-2", FERIE, month_end(20), month_end(27)),
    ),
    kontaktforloeb=(
        meeting("thea-1", INFORMATIONSMOEDE, At(InDays(2), "23:30:00"), sted="Jobcenter Ærø, mødelokale 2"),
        deadline(JOBSAMTALE, InDays(6)),
    ),
    jobsearch=(job_title(GARTNER, InDays(-100)), former_title(GARTNER, InDays(-100))),
    borgerindsats=(
        activity("thea-1", "Vejledning og opkvalificering", InDays(-14)),
        activity("thea-2", None, At(month_end(-3), "08:00:00"), At(month_end(4), "15:00:00")),
        job_log(
            "thea-1",
            task("thea-1", "Ringet til Gartneriet på Hjørnet", InDays(-2), done=True, at="00:30:00"),
            task("thea-2", "Skrevet ansøgning", InDays(-2)),
            task("thea-3", "Følge op på ansøgningen", InDays(4)),
        ),
        job_log("thea-2", task("thea-4", "Opdateret mit CV", InDays(-20), done=True)),
    ),
)
UNKNOWN_WORDS = Citizen(
    "7910074274",
    "Uffe Ukendtkode",
    "an absence of a type that no list has, and a job title that no table knows",
    (28,),
    visitering=(
        contact_group(28, "2025-02-01"),
        absence("uffe-1", UNKNOWN_ABSENCE, InDays(-1), InDays(1)),
        absence("uffe-2", FERIE, InDays(10), InDays(12)),
    ),
    jobsearch=(
        job_title(IN_NO_TABLE, "2026-01-15"),
        job_title(RENGOERINGSASSISTENT, "2025-03-01"),
        former_title(IN_NO_TABLE, "2026-01-15"),
        former_title(RENGOERINGSASSISTENT, "2025-03-01"),
    ),
)
