"""Asks eIndkomst about one citizen: the whole history in one call, or year by year when that is too much."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Self

from config.settings import EindkomstSettings
from workers.domain.cpr import Cpr
from workers.eindkomst import wire
from workers.eindkomst.security import Security
from workers.resilience import deadline
from workers.resilience.certificates import Certificates
from workers.resilience.client import Answer, Question
from workers.resilience.errors import BadRequest, TooLong
from workers.resilience.upstream import Exchange, Upstream

PATH = "/"
"""The service is at the base URL itself."""

YEARS_AT_A_TIME = 4
"""One after the other, the years since 2008 would not come within the deadline; all at once, they would be a burst."""

HEADERS = {
    "Content-Type": f"{wire.CONTENT_TYPE}; charset=utf-8",
    "Accept": wire.CONTENT_TYPE,
    "SOAPAction": wire.SOAP_ACTION,
}


@dataclass(frozen=True, slots=True)
class Months:
    """The months from that of `first` to that of `last`, both included."""

    first: date
    last: date

    def by_year(self) -> Iterator[Self]:
        """The same months, cut after each December."""
        for year in range(self.first.year, self.last.year + 1):
            yield type(self)(max(self.first, date(year, 1, 1)), min(self.last, date(year, 12, 31)))


class EindkomstClient:
    """eIndkomst, through the upstream that spares it. `today` is the day in Denmark.

    `certificates` are what questions are signed with, and answers verified; neither is done when None.
    """

    def __init__(
        self,
        upstream: Upstream,
        settings: EindkomstSettings,
        today: Callable[[], date],
        certificates: Certificates | None = None,
    ) -> None:
        self._upstream = upstream
        self._settings = settings
        self._today = today
        self._certificates = certificates

    async def fetch(self, cpr: Cpr) -> tuple[wire.Report, ...]:
        """Every form that was reported about the citizen, in no certain order; none is no data.

        Raises UpstreamError. It is all or nothing: one year that fails fails the fetch, since a history with a hole
        would be a wrong one. All calls together take no longer than the register's total time-out.
        """
        history = Months(self._settings.history_from, self._today())
        with deadline.within(self._settings.total_timeout):
            if self._certificates:
                await self._certificates.look()
            try:
                return await self._ask(cpr, history, wire.read)
            except (wire.TooMuch, TooLong):
                return await self._ask_by_year(cpr, history)

    async def _ask(
        self, cpr: Cpr, months: Months, read: Callable[[Answer, Cpr, Security], tuple[wire.Report, ...]]
    ) -> tuple[wire.Report, ...]:
        def question(request_id: str) -> Question:
            secured = self._security()
            body = wire.request(request_id, cpr, self._settings, months.first, months.last, secured=secured)
            return Question("POST", PATH, HEADERS, body)

        return await self._upstream.ask(Exchange(question, lambda answer: read(answer, cpr, self._security())))

    def _security(self) -> Security:
        if self._certificates is None:
            return Security()
        return Security.of(self._certificates, self._settings.verify_subject)

    async def _ask_by_year(self, cpr: Cpr, history: Months) -> tuple[wire.Report, ...]:
        turns = asyncio.Semaphore(YEARS_AT_A_TIME)

        async def ask(year: Months) -> tuple[wire.Report, ...]:
            async with turns:
                return await self._ask(cpr, year, _read_a_year)

        try:
            async with asyncio.TaskGroup() as group:
                years = [group.create_task(ask(year)) for year in history.by_year()]
        except ExceptionGroup as failed:
            # The first year that failed; the group has cancelled the others.
            raise failed.exceptions[0] from None
        return tuple(report for year in years for report in year.result())


def _read_a_year(answer: Answer, cpr: Cpr, security: Security) -> tuple[wire.Report, ...]:
    """As `wire.read`; but what is still too much cannot be cut further, so that somebody must look: BadRequest."""
    try:
        return wire.read(answer, cpr, security)
    except wire.TooMuch:
        raise BadRequest("a single year is refused as too much") from None
