"""Client of eIndkomst: asks for a citizen's whole history in one call, or in pieces when that is too much at once."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Self

from config.settings import EindkomstSettings
from domain.cpr import Cpr
from registerbro.upstreams import deadline
from registerbro.upstreams.certificates import Certificates
from registerbro.upstreams.errors import BadRequest, TooLong
from registerbro.upstreams.messages import Answer, Question
from registerbro.upstreams.pipeline import Exchange, Upstream
from registerbro.upstreams.ws_security import Security
from workers.eindkomst import question as questions
from workers.eindkomst import wire
from workers.eindkomst.reports import Reports

PIECES_AT_A_TIME = 4
"""One after the other, the pieces of a long history would not come within the deadline; all at once, they would be a
burst."""

HEADERS = {
    "Content-Type": f"{wire.CONTENT_TYPE}; charset=utf-8",
    "Accept": wire.CONTENT_TYPE,
    "SOAPAction": wire.SOAP_ACTION,
}


@dataclass(frozen=True, slots=True)
class Months:
    """The calendar months from `first` to `last`, both included; each is counted from January of the year 0."""

    first: int
    last: int

    @classmethod
    def between(cls, first: date, last: date) -> Self:
        """From the month of one day to that of another."""
        return cls(first.year * 12 + first.month - 1, last.year * 12 + last.month - 1)

    @property
    def count(self) -> int:
        """How many they are."""
        return self.last - self.first + 1

    @property
    def days(self) -> tuple[date, date]:
        """The first day of the first and of the last month."""
        return date(self.first // 12, self.first % 12 + 1, 1), date(self.last // 12, self.last % 12 + 1, 1)

    def pieces(self, count: int) -> list[Self]:
        """The same months in pieces of `count`; the last piece has what is left."""
        firsts = range(self.first, self.last + 1, count)
        return [type(self)(first, min(first + count - 1, self.last)) for first in firsts]

    def halves(self) -> list[Self]:
        """The same months in two pieces; one when there is one month."""
        return self.pieces((self.count + 1) // 2)


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

    async def fetch(self, cpr: Cpr) -> Reports:
        """Fetches all reports about the citizen, in no certain order; none is no data.

        Raises UpstreamError. It is all or nothing: one piece that fails fails the fetch, since a history with a hole
        would be a wrong one. All calls together take no longer than the register's total time-out.
        """
        history = Months.between(self._settings.history_from, self._today())
        with deadline.within(self._settings.total_timeout):
            if self._certificates:
                await self._certificates.reload_changed()
            return await self._ask_in_pieces(cpr, history)

    async def _ask_in_pieces(self, cpr: Cpr, history: Months) -> Reports:
        """Halves the first piece until it is not too much, and then asks for the rest in pieces of that length.

        So a register that gives little at once refuses a few questions, and not every other one.
        """
        piece = history
        while (first := await self._ask(cpr, piece)) is None:
            piece = piece.halves()[0]
        if piece == history:
            return first
        turns = asyncio.Semaphore(PIECES_AT_A_TIME)
        rest = Months(piece.last + 1, history.last).pieces(piece.count)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._ask_in_turn(cpr, one, turns)) for one in rest]
        except ExceptionGroup as failed:
            # The first piece that failed; the group has cancelled the others.
            raise failed.exceptions[0] from None
        return sum((task.result() for task in tasks), first)

    async def _ask_in_turn(self, cpr: Cpr, piece: Months, turns: asyncio.Semaphore) -> Reports:
        """One piece; by halves, when it has more in it than the first one had."""
        async with turns:
            answer = await self._ask(cpr, piece)
        if answer is not None:
            return answer
        halves = [await self._ask_in_turn(cpr, half, turns) for half in piece.halves()]
        return sum(halves, Reports())

    async def _ask(self, cpr: Cpr, months: Months) -> Reports | None:
        """Asks for the reports of these months; None when they are too much at once. Raises UpstreamError."""

        def question(request_id: str) -> Question:
            body = questions.request(request_id, cpr, self._settings, *months.days, secured=self._security())
            return Question("POST", self._upstream.path, HEADERS, body)

        def read(answer: Answer) -> Reports:
            return wire.read(answer, cpr, self._settings, self._security())

        try:
            return await self._upstream.ask(Exchange(question, read))
        except TooLong:
            if months.count == 1:
                raise
        except wire.TooMuch:
            if months.count == 1:
                # A month cannot be cut further, so an operator must act.
                raise BadRequest("a single month is refused as too much") from None
        return None

    def _security(self) -> Security:
        return Security.of(self._certificates, self._settings) if self._certificates else Security()
