"""The paths that a hostile answer can take, each from the client to what would be kept, and what may become of it."""

import json
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace

from pydantic import SecretStr

from config.settings import BookingVendorSettings, CvrSettings, EindkomstSettings
from simulators import citizens
from workers.booking_vendor import bookings
from workers.booking_vendor.bookings import BookingError
from workers.booking_vendor.client import Delivery
from workers.booking_vendor.outbox import Content
from workers.dfdg.client import DfdgClient
from workers.dfdg.normalise import normalise as normalise_dfdg
from workers.domain import fault_report
from workers.domain.cpr import Cpr
from workers.domain.fault_report import LIMIT, FaultReportError
from workers.domain.overview import Normalised
from workers.eindkomst import wire
from workers.eindkomst.client import EindkomstClient
from workers.eindkomst.employers import Employers
from workers.eindkomst.normalise import normalise as normalise_eindkomst
from workers.eindkomst.reports import Reports
from workers.eindkomst.security import Security
from workers.resilience.certificates import Trusted
from workers.resilience.client import Answer, Question
from workers.resilience.errors import UpstreamError
from workers.resilience.upstream import Exchange, Upstream
from workers.su.client import SuClient
from workers.su.normalise import normalise as normalise_su
from workers.udb.client import UdbClient
from workers.udb.normalise import normalise as normalise_udb
from workers.ydelse.client import YdelseClient
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
    return kept(normalise_udb(await UdbClient(upstream).fetch(CPR)))


async def su(upstream: Upstream) -> object:
    return kept(normalise_su(await SuClient(upstream).fetch(CPR), CPR.birth_date))


async def ydelse(upstream: Upstream) -> object:
    return kept(normalise_ydelse(await YdelseClient(upstream).fetch(CPR)))


async def dfdg(upstream: Upstream) -> object:
    return kept(normalise_dfdg(await DfdgClient(upstream).fetch(CPR)))


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
    # The cache is asked before and told afterwards, by `names`, which `tests/eindkomst/test_employers.py` tests.
    return await Employers(upstream, CvrSettings(), None, None)._ask(["11111111"])


async def delivery(upstream: Upstream) -> object:
    then = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    return await Delivery("a-report", then, Content("Siden virker ikke"), SecretStr("a token for tests")).send(upstream)


def _services(upstream: Upstream) -> SimpleNamespace:
    """What booking needs of a process's services."""
    return SimpleNamespace(
        upstream=lambda _: upstream,
        citizens=SimpleNamespace(id_of=lambda _: "a-citizen"),
        keyring=SimpleNamespace(peppers=lambda: (b"a pepper for tests alone",)),
        settings=SimpleNamespace(booking_vendor=BookingVendorSettings(token=SecretStr("a token for tests"))),
    )


async def times(upstream: Upstream) -> object:
    return await bookings.times(_services(upstream), CPR, "frist-1")


async def book(upstream: Upstream) -> object:
    return await bookings.book(_services(upstream), CPR, "frist-1", "tid-1", "a-key")


PATHS: dict[str, AnswerPath] = {
    path.__name__: path
    for path in (http, udb, su, ydelse, dfdg, eindkomst, eindkomst_signed, cvr, delivery, times, book)
}
"""Target → the path of its answers."""


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
    if target in {"udb", "su", "ydelse", "dfdg"}:
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
