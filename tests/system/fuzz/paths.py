"""The paths that a hostile answer can take, each from the client to what would be kept, and what may become of it."""

import json
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError

from config.settings import (
    BookingVendorSettings,
    BorgerindsatsSettings,
    CvrSettings,
    EindkomstSettings,
    JobsearchSettings,
    KontaktforloebSettings,
    VisiteringSettings,
)
from domain import fault_report
from domain.cpr import Cpr
from domain.fault_report import LIMIT, FaultReportError
from domain.overview import Normalised
from domain.rules import DEFAULT_RULES
from registerbro.fault_reports.model import Content, Sending
from registerbro.meetings import booking
from registerbro.meetings.errors import BookingError
from registerbro.upstreams.certificate_files import Trusted
from registerbro.upstreams.errors import UpstreamError
from registerbro.upstreams.messages import Answer, Question
from registerbro.upstreams.pipeline import Exchange, Upstream
from registerbro.upstreams.ws_security import Security
from simulators import citizens
from workers.booking_vendor.client import Delivery
from workers.borgerindsats.tasks import fetch as fetch_borgerindsats
from workers.eindkomst import wire
from workers.eindkomst.client import EindkomstClient
from workers.eindkomst.employers import Employers
from workers.eindkomst.normalise import normalise as normalise_eindkomst
from workers.eindkomst.reports import Reports
from workers.jobsearch.tasks import fetch as fetch_jobsearch
from workers.kontaktforloeb.tasks import fetch as fetch_kontaktforloeb
from workers.su import client as su_client
from workers.su.normalise import normalise as normalise_su
from workers.udb import client as udb_client
from workers.udb.normalise import normalise as normalise_udb
from workers.visitering.tasks import fetch as fetch_visitering
from workers.ydelse import client as ydelse_client
from workers.ydelse.normalise import normalise as normalise_ydelse

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
CPR = Cpr.parse(citizens.EXAMPLE.cpr)
OTHERS = frozenset(citizen.cpr for citizen in citizens.CITIZENS) - {CPR.digits}
TODAY = date(2026, 11, 23)
EINDKOMST = EindkomstSettings(history_from=date(2025, 1, 1))
"""Two years, so that what is too much is asked for a few times, and not ten."""
SIGNED_AT = datetime(2026, 11, 23, 12, 0, 30, tzinfo=UTC)
"""When the signed answers of the corpus are verified: they are of half a minute before."""
DEADLINE = "7-2026-12-10"
OFFER = "4b1f0c1e-7a3e-4c8e-9d51-5a3b2c1d0e9f"
TIME = f"{OFFER}.20261124T090000Z.20261124T093000Z"
"""What is booked; the id of the meeting is made of the key."""
FAULT_REPORT = "fault_report"
"""The one target that is given a text, and no answer."""

_JSON_PERSON = re.compile(rb'(?i)"civilRegistrationIdentifier"\s*:\s*"(\d{6})-?(\d{4})"')
_XML_PERSON = re.compile(rb"PersonCivilRegistrationIdentifier(?:\s[^<>]*)?>\s*(\d{6})-?(\d{4})\s*<")

AnswerPath = Callable[[Upstream], Awaitable[object]]


class BrokenPromise(AssertionError):
    """An outcome that is neither a valid result nor one of our errors."""


def kept(normalised: Normalised) -> bytes:
    """What an entry would hold of it."""
    content = {name: [item.model_dump(mode="json") for item in items] for name, items in normalised.sections.items()}
    return json.dumps(content, ensure_ascii=False, allow_nan=False).encode()


async def http(upstream: Upstream) -> object:
    def read(answer: Answer) -> Answer:
        if refusal := answer.refusal():
            raise refusal
        return answer

    return await upstream.ask(Exchange(lambda _: Question("GET", "/"), read))


async def udb(upstream: Upstream) -> object:
    return kept(normalise_udb(await udb_client.fetch(upstream, CPR)))


async def su(upstream: Upstream) -> object:
    return kept(normalise_su(await su_client.fetch(upstream, CPR), CPR.birth_date))


async def ydelse(upstream: Upstream) -> object:
    return kept(normalise_ydelse(await ydelse_client.fetch(upstream, CPR), TODAY))


class _NoLedger:
    """Contact groups of a process that cannot reach the ledger: only those of the answer are known."""

    async def join(self, *_: object) -> None:
        raise RedisConnectionError("no ledger")


def services_of_worker(upstream: Upstream) -> Any:
    """What a fetch needs of a worker's services."""
    return SimpleNamespace(
        upstream=lambda _: upstream,
        rules=SimpleNamespace(now=lambda: DEFAULT_RULES),
        citizens=SimpleNamespace(ids_of=lambda _: ["a-citizen"]),
        contact_groups=_NoLedger(),
        settings=SimpleNamespace(
            visitering=VisiteringSettings(),
            kontaktforloeb=KontaktforloebSettings(),
            jobsearch=JobsearchSettings(),
            borgerindsats=BorgerindsatsSettings(),
        ),
    )


# Each of these asks two questions, and both are given the same answer.
async def visitering(upstream: Upstream) -> object:
    return kept((await fetch_visitering(services_of_worker(upstream), CPR)).normalised)


async def kontaktforloeb(upstream: Upstream) -> object:
    return kept((await fetch_kontaktforloeb(services_of_worker(upstream), CPR)).normalised)


async def jobsearch(upstream: Upstream) -> object:
    return kept((await fetch_jobsearch(services_of_worker(upstream), CPR)).normalised)


async def borgerindsats(upstream: Upstream) -> object:
    return kept((await fetch_borgerindsats(services_of_worker(upstream), CPR)).normalised)


async def eindkomst(upstream: Upstream) -> object:
    reports = await EindkomstClient(upstream, EINDKOMST, lambda: TODAY).fetch(CPR)
    return kept(normalise_eindkomst(reports, {}))


class _AsOfThen(Security):
    """Verifies as of the moment at which the corpus was signed."""

    __slots__ = ()

    def verify(self, envelope, now):
        Security.verify(self, envelope, SIGNED_AT)


_SECURED = _AsOfThen(verifies_with=Trusted.parse((HERE / "signer.pem").read_bytes(), None))


async def eindkomst_signed(upstream: Upstream) -> object:
    def read(answer: Answer) -> Reports:
        return wire.read(answer, CPR, EINDKOMST, _SECURED)

    return kept(normalise_eindkomst(await upstream.ask(Exchange(lambda _: Question("POST", "/"), read)), {}))


async def cvr(upstream: Upstream) -> object:
    # The cache is asked before and told afterwards, by `names`, which `tests/workers/eindkomst/test_employers.py`
    # tests.
    return await Employers(upstream, CvrSettings(), None, None)._ask(["11111111"])


async def delivery(upstream: Upstream) -> object:
    then = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    sending = Sending("a-report", "a-run", then, b"", "a-citizen")
    # With keys an answer has more meanings: a conflict with a case number is a delivery.
    settings = BookingVendorSettings(idempotent=True)
    return await Delivery(sending, Content("Siden virker ikke"), settings, None).send(upstream)


def _services(upstream: Upstream) -> SimpleNamespace:
    """What booking needs of a process's services."""
    return SimpleNamespace(
        upstream=lambda _: upstream,
        citizens=SimpleNamespace(ids_of=lambda _: ("a-citizen",)),
        keyring=SimpleNamespace(peppers=lambda: (b"a pepper for tests alone",)),
        settings=SimpleNamespace(kontaktforloeb=KontaktforloebSettings()),
    )


# Each of these makes several calls, and all of them are given the same answer.
async def times(upstream: Upstream) -> object:
    return await booking.times(_services(upstream), CPR, DEADLINE)


async def book(upstream: Upstream) -> object:
    return await booking.book(_services(upstream), CPR, DEADLINE, TIME, "a-key")


PATHS: dict[str, AnswerPath] = {
    path.__name__: path
    for path in (
        http, udb, su, ydelse, visitering, kontaktforloeb, jobsearch, borgerindsats, eindkomst, eindkomst_signed, cvr,
        delivery, times, book,
    )
}  # fmt: skip
"""Target → the path of its answers."""
DFDG = frozenset({
    "udb", "su", "ydelse", "visitering", "kontaktforloeb", "jobsearch", "borgerindsats", "times", "book",
})  # fmt: skip
"""The targets behind DFDG."""


async def outcome(target: str, upstream: Upstream, body: bytes) -> str:
    """`ok`, or the error's own word for itself. Raises whatever else comes of it, and BrokenPromise."""
    try:
        await PATHS[target](upstream)
    except UpstreamError as error:
        return error.reason
    except BookingError as error:
        return type(error).__name__
    if names_another(target, body):
        raise BrokenPromise("data of an answer that names another person (R7)")
    return "ok"


def names_another(target: str, body: bytes) -> bool:
    """Whether it is plain to see that another of the constructed citizens is named, by other means than the product's.

    XML with comments, sections or instructions is left out: what stands in those is no element.
    """
    if target in DFDG:
        people = _JSON_PERSON.findall(body)
    elif target in {"eindkomst", "eindkomst_signed"} and b"<!" not in body and body.count(b"<?") <= 1:
        people = _XML_PERSON.findall(body)
    else:
        people = []
    return any(b"".join(person).decode() in OTHERS for person in people)


def validated_text(raw: bytes) -> str:
    """The outcome of a fault report whose text is these bytes; halves of pairs come in as a browser may send them."""
    text = raw.decode("utf-8", "surrogatepass") if _passes(raw) else raw.decode("latin-1")
    try:
        valid = fault_report.validate(text)
    except FaultReportError as error:
        str(error)
        return error.reason
    if fault_report.validate(valid) != valid or len(valid.encode("utf-16-le")) // 2 > LIMIT:
        raise BrokenPromise("a text that is not valid")
    return "ok"


def _passes(raw: bytes) -> bool:
    try:
        raw.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return False
    return True
