"""Every text that a citizen reads on the portal's pages, in Danish, in this one place."""

from collections.abc import Mapping

from domain.fault_report import LIMIT
from domain.overview import UNAVAILABLE_TEXT

MONTHS = (
    "januar", "februar", "marts", "april", "maj", "juni",
    "juli", "august", "september", "oktober", "november", "december",
)  # fmt: skip
WEEKDAYS = ("mandag", "tirsdag", "onsdag", "torsdag", "fredag", "lørdag", "søndag")
UNKNOWN = "Ukendt"
"""What stands for a date or a year that is not known (R5)."""
YES, NO = "Ja", "Nej"

# Around every page.
PORTAL = "Jobportalen"
SOLUTION = "Din side – prøveudgave"
AUTHORITY = "Konstruerede borgere, ingen rigtige personer"
SKIP_LINK = "Gå til sidens indhold"
MAIN_MENU = "Hovedmenu"
MENU, CLOSE, CLOSE_MENU = "Menu", "Luk", "Luk menu"
USER = "Bruger"
LOG_IN, LOG_OUT = "Log ind", "Log af"
FRONT_PAGE = "Forside"
ABOUT_YOU = "Oplysninger om dig"
FAULT_REPORT = "Fejlmeld mødebooking"
CONTROL_PAGE = "Kontrolside"
OPENS_ELSEWHERE = "(andet websted)"
FOOTER = "Sidefod"

PAGES: Mapping[str, tuple[str, str]] = {
    "/cv": ("CV", "Her kan du se og rette dit CV."),
    "/jobforslag": ("Jobforslag", "Her finder du job, som passer til det, du søger."),
    "/joblog": ("Joblog", "Her skriver du, hvilke job du har søgt."),
    "/moedebooking": ("Mødebooking", "Her booker du møder med dit jobcenter."),
    "/kompetenceafklaring-og-sprogkort": (
        "Kompetenceafklaring og sprogkort",
        "Her kan du få afklaret dine kompetencer og hente et sprogkort.",
    ),
    "/tilgaengelighed": (
        "Tilgængelighed",
        "Siderne er bygget, så alle kan bruge dem: med tastatur, med skærmlæser og uden JavaScript.",
    ),
}
"""The other pages: path → heading and sentence. They show that nothing of theirs depends on a register (§3.1)."""

FOOTER_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "Jobsøgning": ("/cv", "/jeg-soeger-job-som", "/jobforslag", "/kompetenceafklaring-og-sprogkort"),
    "Planer og aftaler": ("/kalender", "/joblog", "/moedebooking", "/book-moeder-med-frist", "/fejlmeld-moedebooking"),
    "Om portalen": ("/tilgaengelighed", "/kontrol"),
}
"""Column → its links (§1.2: »Kompetenceafklaring og sprogkort« stands under »Jobsøgning«)."""

# Log-in.
LOG_IN_LEAD = "Vælg en af de konstruerede borgere. I en rigtig portal logger man ind med MitID."
LOG_IN_NONE = "Listen over borgere kan ikke hentes lige nu. Prøv igen om lidt."
LOG_IN_AS = "Log ind som"
LOGGED_OUT = "Du er logget af."

# The front page and its banner (§1.1).
WELCOME = "Velkommen til Jobportalen"
WELCOME_NAMED = "Velkommen, {name}"
FRONT_LEAD = "Her finder du dit CV, dine jobforslag og dine møder med jobcentret."
BANNER_HEADING = "Ny side: Oplysninger om dig"
BANNER_TEXT = (
    "På siden »Oplysninger om dig« kan du se, "
    "hvilke oplysninger om uddannelse, job og økonomisk hjælp der er hentet om dig."
)
BANNER_LINK = "Gå til Oplysninger om dig"
BANNER_DISMISS = "Vis ikke denne besked igen"
BANNER_STAYS = "Beskeden kan ikke fjernes lige nu. Prøv igen senere."

# »Oplysninger om dig« (§4.1).
ABOUT_YOU_LEAD = "Oplysningerne er hentet automatisk. Dit jobcenter har mulighed for at se de samme oplysninger."
OVERVIEWS: Mapping[str, str] = {
    "education": "Overblik over dine uddannelser",
    "employment": "Overblik over tidligere job",
    "benefits": "Overblik over økonomisk hjælp",
}
SECTIONS: Mapping[str, str] = {
    "completed_educations": "Uddannelser, som du tidligere har taget",
    "started_educations": "Uddannelser, som du tidligere er startet på",
    "su_attempts": "SU-forsøg",
    "fgu": "Forberedende Grunduddannelse (FGU)",
    "stu": "Særligt Tilrettelagt Ungdomsuddannelse (STU)",
    "employments": "Tidligere job",
    "benefits": "Økonomisk hjælp",
}
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "completed_educations": ("Uddannelse", "Afsluttet"),
    "started_educations": ("Uddannelse", "Status", "År"),
    "fgu": ("Sted", "Speciale", "Status", "Startdato", "Slutdato"),
    "stu": ("Sted", "Status", "Startdato", "Slutdato"),
    "employments": ("Arbejdsgiver", "Periode"),
    "benefits": ("Ydelse", "Periode", "Samtidig i job"),
}
CONCURRENT_JOB: Mapping[bool | None, str] = {True: YES, False: NO, None: UNKNOWN}
"""Whether a citizen was in a job meanwhile; None where the register does not say (R5)."""
STATUS: Mapping[str, str] = {"ongoing": "I gang", "interrupted": "Afbrudt", "completed": "Gennemført"}
STARTED: Mapping[str, str] = {"ongoing": "Startet", "interrupted": "Afbrudt"}
"""Which year section B shows: that of the start, or of the interruption (R2)."""
SU_ATTEMPTS = "Antal ungdomsuddannelser, som er registreret påbegyndt med SU: {count}"
SU_NOTE = "Der bliver kun vist data fra og med 2018 og fra dit fyldte 18. år."
SOURCE = "Kilde: {source}"
FETCHED = "Hentet {when}"
SHOW_ALL = "Vis alle"
SHOW_ALL_OF: Mapping[str, str] = {"employments": "{count} job", "benefits": "{count} ydelser"}
"""What a screen reader adds to »Vis alle«, so that the links can be told apart."""
COMPETENCE_FOLDER = "Min kompetencemappe"
COMPETENCE_FOLDER_URL = "https://minkompetencemappe.dk"
UNAVAILABLE = UNAVAILABLE_TEXT
PENDING = "Henter oplysninger …"
UPDATE = "Opdatér siden"
UPDATE_LEAD = "Nogle oplysninger er ved at blive hentet."
NOTHING = "Der er ingen oplysninger om dig at vise."
AGAIN = "Prøv igen"
AGAIN_LEAD = "Nogle af oplysningerne kunne ikke hentes lige nu."
AGAIN_TOO_SOON = "Du har lige prøvet. Vent lidt, før du prøver igen."
TOLD_READY = "Hentet: {sections}."
TOLD_UNAVAILABLE = "Kunne ikke hentes: {sections}."
TOLD_EMPTY = "Ingen oplysninger: {sections}."

# The timeline of the same data.
TIMELINE = "Tidslinje"
TIMELINE_SHOW, TIMELINE_HIDE = "Vis som tidslinje", "Skjul tidslinjen"
TIMELINE_LEAD = (
    "Tidslinjen viser de samme oplysninger som afsnittene på siden. Vælg en af dem for at se den i sit afsnit."
)
TIMELINE_LANES: Mapping[str, str] = {"education": "Uddannelse", "employment": "Job", "benefits": "Økonomisk hjælp"}
TIMELINE_TODAY = "I dag"
TIMELINE_LEGEND = "Sådan læser du tidslinjen"
TIMELINE_SIGNS: Mapping[str, str] = {
    "days": "Fra første til og med sidste dag",
    "open": "Toner ud: datoen er ukendt",
    "year": "Skrå streger: kun året er kendt",
    "gap": "Prikker: intet registreret",
    "today": "I dag",
}
TIMELINE_GAP = "Intet registreret: {days}"
TIMELINE_BESIDE = "Kan ikke placeres på tidslinjen"
TIMELINE_VALUE = "{column}: {value}"

# The calendar, in »Kalender« and in booking (§3.2, §3.3).
CALENDAR = "Kalender"
CALENDAR_LEAD = "Her ser du dine møder, indsatser, fravær og joblog."
CALENDAR_WEEK = "Uge"
CALENDAR_DAYS = ("man", "tir", "ons", "tor", "fre", "lør", "søn")
CALENDAR_TODAY = "I dag"
CALENDAR_EARLIER = "Forrige måned, {month}"
CALENDAR_LATER = "Næste måned, {month}"
CALENDAR_MONTH = "Vælg måned"
CALENDAR_AGENDA = "I kalenderen"
CALENDAR_HOLDS_ONE, CALENDAR_HOLDS = "{count} registrering", "{count} registreringer"
CALENDAR_KINDS: Mapping[str, str] = {
    "joblog": "Joblog",
    "activity": "Indsats",
    "absence": "Fravær",
    "meeting": "Møde",
}
CALENDAR_CONTINUED = "fortsat"
CALENDAR_NOTHING = "Der er ingenting i din kalender i {month}."
CALENDAR_NOTHING_ON_DAY = "Der er ingenting i din kalender denne dag."
CALENDAR_NOT_KNOWN_ON_DAY = (
    "Nogle oplysninger mangler. Derfor vises det ikke, om der er noget i din kalender denne dag."
)
CALENDAR_PARTS: Mapping[str, str] = {
    "deadlines": "Bookingfrister",
    "meetings": "Møder",
    "activities": "Indsatser",
    "absences": "Fravær",
    "joblog": "Joblog",
}
CALENDAR_PART_UNAVAILABLE = f"{{part}}: {UNAVAILABLE_TEXT}"
CALENDAR_PART_PENDING = "{part} hentes …"
CALENDAR_BOOK = "Gå til mødebooking"
MEETING_HELD = "Mødet blev holdt {days}."
DEADLINE = "Bookingfrist"
DEADLINE_TEXT = "Du skal booke et møde: {meeting}. Det skal være booket senest {day}."
DEADLINE_LINK = "Book møder med frist"

# »Book møder med frist« (§3.3).
BOOK = "Book møder med frist"
BOOK_LEAD = "Her booker du de møder, som du skal booke inden en bestemt dag."
BOOK_NOTHING = "Du har ingen frist for at booke et møde."
BOOK_DEADLINE_GONE = "Fristen er ikke længere aktiv. Mødet er allerede booket, eller fristen er overskredet."
BOOK_DEADLINES = "Dine frister"
BOOK_CHOOSE = "Find en tid"
BOOK_UNTIL = "Book senest {day}"
BOOK_TIMES = "Vælg et tidspunkt"
BOOK_TIMES_PENDING = "Henter ledige tider …"
BOOK_NO_TIMES = "Der er ingen ledige tider lige nu. Prøv igen senere."
BOOK_NO_TIMES_IN_MONTH = "Der er ingen ledige tider i {month}."
BOOK_FIRST_TIMES = "Gå til de første ledige tider, {month}"
BOOK_CHOOSE_DAY = "Vælg en dag med ledige tider."
BOOK_FREE_ONE, BOOK_FREE = "{count} ledig tid", "{count} ledige tider"
BOOK_NOT_CHOSEN = "Vælg, hvornår mødet skal være."
BOOK_SEND = "Book møde"
BOOK_SENDING = "Booker …"
BOOK_TAKEN = "Tiden er netop blevet taget af en anden. Vælg en af de tider, der er tilbage."
BOOK_UNREACHABLE = "Der er ikke forbindelse til mødebookingsystemet lige nu. Prøv igen senere."
BOOK_CONTRACT = "Mødebookingsystemet gav et svar, som ikke kan bruges. Fejlmeld det, så leverandøren kan rette fejlen."
BOOK_ERROR_CODE = "Fejlkode: {code}"
BOOK_NOT_KNOWN = (
    "Det vides ikke, om mødet blev booket. Prøv igen; det bliver kun booket én gang, også hvis du prøver flere gange."
)
BOOK_KEY_USED = "Du har allerede booket et møde herfra. Vælg en tid igen, hvis du også vil booke denne."
BOOK_TOO_MANY = "Du har forsøgt mange gange. Vent lidt, og prøv igen."
BOOK_NOT_POSSIBLE = "Mødet kunne ikke bookes. Vælg en tid igen."
BOOK_OTHER_TIME = "Vælg en anden tid"
BOOKED = "Dit møde er booket"
BOOKED_WHEN, BOOKED_WHERE = "Tidspunkt", "Sted"
BOOKED_TO_CALENDAR = "Gå til din kalender"
BOOKED_ANOTHER = "Book et møde mere"

# »Jeg søger job som« (§2.1, §3.4) and »Min profil« (§2.2).
HISTORY = "Jeg søger job som"
HISTORY_LEAD = "Her ser du de stillingsbetegnelser, som du har registreret."
HISTORY_HEADING = "Historik"
HISTORY_COLUMNS = ("Stillingsbetegnelse", "Registreret", "Afsluttet")
HISTORY_NOTHING = "Du har ikke registreret nogen stillingsbetegnelser."
HISTORY_OPEN = "–"
PROFILE = "Min profil"
PROFILE_LEAD = "Her ser du, om dit CV kan findes af arbejdsgivere."
PROFILE_CV = "Dit CV"
CV_SEARCHABLE = "Dit CV er søgbart. Arbejdsgivere kan finde det."
CV_NOT_SEARCHABLE = "Dit CV er ikke søgbart. Arbejdsgivere kan ikke finde det."
CV_NOT_SEARCHABLE_WHY = "Er din kontaktgruppe afsluttet, og er du ikke i en anden, er der ikke krav om et søgbart CV."
CV_UNKNOWN = f"Om dit CV er søgbart: {UNKNOWN}"
CV_UNKNOWN_WHY = (
    "Vi ved ikke, om dit CV kan findes af arbejdsgivere. Det afhænger af de kontaktgrupper, som du er og har været i, "
    "og vi kender ikke dem alle."
)

# »Fejlmeld mødebooking« (§3.5).
REPORT_LEAD = "Oplever du fejl i mødebooking, kan du skrive til leverandøren af systemet her."
REPORT_PRIVACY = "Skriv ikke dit CPR-nummer. Leverandøren får kun din tekst og ikke, hvem du er."
REPORT_LABEL = "Beskriv fejlen"
REPORT_HINT = f"Du kan skrive op til {LIMIT} tegn."
REPORT_SEND = "Send fejlmelding"
REPORT_EMPTY = "Skriv, hvad fejlen er."
REPORT_TOO_LONG = "Teksten er {length} tegn. Der er plads til {limit}, så {excess} tegn er for meget."
REPORT_CHARACTERS = "Teksten har tegn, som ikke kan sendes. Skriv den uden særlige styretegn."
REPORT_TOO_MANY = "Du har sendt mange fejlmeldinger. Vent lidt, før du sender en til. Din tekst er her stadig."
REPORT_NOT_NOW = (
    "Fejlmeldingen kunne ikke modtages lige nu. Din tekst er her stadig. Prøv igen om lidt; "
    "den bliver kun registreret én gang, også hvis du sender den flere gange."
)
REPORT_KEY_USED = "Du har allerede sendt en fejlmelding herfra. Send igen, hvis du også vil sende denne."
REPORT_STALE = "Siden havde stået åben for længe. Din tekst er her stadig. Send den igen."
REPORT_LOGGED_OUT = (
    "Du er blevet logget af. Din tekst er her stadig. Log ind i et andet vindue, og send den så igen herfra."
)
REPORT_BODY_TOO_LARGE = "Teksten var alt for lang til at blive modtaget. Skriv højst {limit} tegn."
ERROR_PREFIX = "Fejl: "
COUNTER_LEFT = "Du har {left} tegn tilbage"
COUNTER_EXCESS = "Du har {excess} tegn for meget"
COUNTER_FULL = "Der kan ikke indtastes flere tegn"
COUNTER_LEFT_OUT = "{count} tegn blev ikke indsat."

RECEIPT = "Tak for din fejlmelding"
RECEIPT_NUMBER = "Fejlmeldingens nummer"
RECEIPT_ACCEPTED_AT = "Modtaget"
RECEIPT_STATE = "Status"
RECEIPT_CASE = "Leverandørens sagsnummer"
RECEIPT_STATES: Mapping[str, str] = {
    "accepted": "Modtaget. Den bliver sendt til leverandøren.",
    "sending": "Ved at blive sendt til leverandøren.",
    "unknown_outcome": "Sendt til leverandøren, som ikke har kvitteret. Den bliver fulgt op.",
    "delivered": "Sendt til leverandøren.",
    "rejected": "Leverandøren kunne ikke tage imod den. En medarbejder ser på den.",
    "gave_up": "Den kunne ikke sendes til leverandøren. En medarbejder ser på den.",
}
RECEIPT_STATE_UNKNOWN = "Kan ikke vises lige nu. Fejlmeldingen er modtaget."
RECEIPT_UPDATE = "Opdatér status"
RECEIPT_ANOTHER = "Send en fejlmelding mere"

# What goes wrong with a page itself.
NOT_FOUND = "Siden findes ikke"
NOT_FOUND_LEAD = "Adressen er måske skrevet forkert, eller siden er flyttet."
REFUSED = "Handlingen blev ikke gennemført"
REFUSED_LEAD = "Siden havde stået åben for længe, eller den blev sendt fra et andet sted. Gå tilbage, og prøv igen."
DEFECT = "Der er sket en fejl"
DEFECT_LEAD = "Prøv igen senere."
TO_FRONT_PAGE = "Gå til forsiden"

# The demo's control page.
CONTROL_LEAD = "Her kan du tage hvert register ned og sætte det i gang igen, og se, hvordan siden klarer det."
CONTROL_NONE = "Registrenes simulatorer svarer ikke."
CONTROL_COLUMNS = ("Register", "Tilstand", "Modtagne kald", "Skift")
UPSTREAMS: Mapping[str, str] = {
    "udb": "Ungedatabasen (UDB)",
    "su": "SU",
    "eindkomst": "eIndkomst",
    "cvr": "CVR-registeret",
    "ydelse": "STARs Ydelsesregister",
    "visitering": "DFDG: kontaktgrupper og fravær",
    "kontaktforloeb": "DFDG: møder og bookingfrister",
    "jobsearch": "DFDG: stillingsbetegnelser",
    "borgerindsats": "DFDG: indsatser og joblog",
    "booking_vendor": "Leverandør af mødebooking",
}
CONTROL_STATES: Mapping[str, str] = {"up": "I gang", "down": "Nede", "slow": "Langsom", "other": "Anden fejl"}
CONTROL_ACTIONS: Mapping[str, str] = {"down": "Tag ned", "slow": "Gør langsom", "up": "Sæt i gang igen"}
