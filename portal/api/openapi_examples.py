"""OpenAPI examples, all of them constructed."""

import json

from domain.overview import UNAVAILABLE_TEXT

_UDB = {"register": "udb", "source": "Ungedatabasen (UDB)"}
_READY = {
    "state": "ready",
    "fetched_at": "2023-03-13T08:15:00Z",
    "stale": False,
    "retry_after": None,
    "message": None,
}
_EMPTY = {**_READY, "state": "empty", "items": []}

OVERVIEW = {
    "complete": True,
    "generated_at": "2023-03-13T08:20:00Z",
    "overviews": [
        {
            "id": "education",
            "sections": [
                {"id": "completed_educations", **_UDB, **_READY, "items": [{"name": "Htx", "year": 2018}]},
                {
                    "id": "started_educations",
                    **_UDB,
                    **_READY,
                    "items": [
                        {"name": "Hf", "status": "ongoing", "year": 2022},
                        {"name": "Eux", "status": "interrupted", "year": 2020},
                    ],
                },
                {
                    "id": "su_attempts",
                    "register": "su",
                    "state": "unavailable",
                    "source": "SU",
                    "fetched_at": None,
                    "stale": False,
                    "retry_after": 30,
                    "message": UNAVAILABLE_TEXT,
                    "items": [],
                },
                {
                    "id": "fgu",
                    **_UDB,
                    **_READY,
                    "items": [
                        {
                            "place": "FGU Hovedstaden",
                            "speciality": "Almen grunduddannelse",
                            "status": "interrupted",
                            "start": "2019-08-12",
                            "end": "2020-02-01",
                        }
                    ],
                },
                {"id": "stu", **_UDB, **_EMPTY},
            ],
        },
        {
            "id": "employment",
            "sections": [
                {
                    "id": "employments",
                    "register": "eindkomst",
                    "source": "eIndkomst",
                    **_READY,
                    "items": [{"employer": "Føtex", "start": "2019-01-01", "end": "2020-05-31"}],
                }
            ],
        },
        {
            "id": "benefits",
            "sections": [
                {
                    "id": "benefits",
                    "register": "ydelse",
                    "source": "STARs Ydelsesregister",
                    **_READY,
                    "items": [
                        {
                            "type": "Uddannelseshjælp",
                            "start": "2021-03-01",
                            "end": None,
                            "concurrent_job": True,
                        }
                    ],
                }
            ],
        },
    ],
}
SECTION = json.dumps(OVERVIEW["overviews"][1]["sections"][0], ensure_ascii=False)  # type: ignore[index]

_DFDG = {**_READY, "source": "Det fælles datagrundlag (DFDG)"}

_DOWN = {
    **_DFDG,
    "state": "unavailable",
    "fetched_at": None,
    "retry_after": 30,
    "message": UNAVAILABLE_TEXT,
}

CALENDAR = {
    **_DFDG,
    "retry_after": 30,
    "month": "2023-03",
    "entries": [
        {
            "id": "post-1",
            "kind": "activity",
            "title": "Virksomhedspraktik",
            "start": "2023-03-06",
            "end": None,
            "held": False,
            "text": None,
        },
        {
            "id": "post-2",
            "kind": "meeting",
            "title": "Jobsamtale",
            "start": "2023-03-08",
            "end": "2023-03-08",
            "held": True,
            "text": "<p>Vi aftalte:</p><ul><li>søg to job om ugen</li></ul>",
        },
    ],
    "deadlines": [{"id": "7-2023-03-17", "deadline": "2023-03-17", "meeting_type": "Jobsamtale"}],
    "parts": [
        {"id": "deadlines", **_DFDG},
        {"id": "meetings", **_DFDG},
        {"id": "activities", **_DFDG},
        {"id": "absences", **_DOWN},
        {"id": "joblog", **_DFDG, "state": "empty"},
    ],
}
JOB_TITLES = {
    **_DFDG,
    "items": [
        {"title": "Pædagogmedhjælper", "registered": "2022-05-01", "ended": "2022-09-01"},
        {"title": "Butiksassistent", "registered": None, "ended": None},
    ],
}
CV_STATUS = {**_DFDG, "searchable": True}
