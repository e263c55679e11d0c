"""Interface of an upstream's protocol, by which one server speaks all of them and breaks each in every way."""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from simulators.faults import COMMON, Fault, Huge, NotFound

_CPR = re.compile(r"[0-9]{10}")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer before any fault has touched it."""

    body: bytes
    content_type: str
    status: int = 200


@dataclass(frozen=True, slots=True)
class Asked:
    """Parsed question of a call, and the citizen that it is about (None where it is about none)."""

    citizen: str | None
    question: object = None
    operation: str | None = None
    """What a call does where an upstream does several things; None is its one question."""


class Breach(Exception):
    """A call that is not of the contract; `what` is recorded, and answered in the upstream's own form."""

    def __init__(self, what: str, status: int = 400) -> None:
        super().__init__(what)
        self.what = what
        self.status = status


class Protocol(ABC):
    """One upstream's language. `name` is its name in the settings, `method` and `path` where it is called; `also` where
    else. `base` is what of that stands in the upstream's address already.

    `own_faults` are the kinds of faults that need its words, `is_about_citizens` whether its calls name one, and
    `is_asked_for_months` whether they name a range of months.
    """

    name: str
    method: str
    path: str
    base = ""
    also: frozenset[tuple[str, str]] = frozenset()
    content_type = "application/json"
    own_faults: frozenset[str] = frozenset()
    operations: frozenset[str] = frozenset()
    """What can be done beside asking the one question; a fault is for the question unless it names one of these."""
    is_about_citizens = True
    is_asked_for_months = False

    @abstractmethod
    def understand(self, request: web.Request, body: bytes) -> Asked:
        """What is asked for. Raises Breach."""

    @abstractmethod
    def answer(self, asked: Asked) -> Reply:
        """The answer of the contract."""

    @abstractmethod
    def refusal(self, status: int, text: str) -> Reply:
        """An error in the upstream's own form."""

    @abstractmethod
    def variants(self, asked: Asked) -> Mapping[str, bytes]:
        """Bodies for the faults that change what an answer says: kind → body, sent with status 200."""

    def concerns(self, fault: Fault, asked: Asked) -> bool:  # noqa: ARG002 - most faults are for every question
        """Whether a fault that was drawn is for this question; else the answer is that of the contract."""
        return True

    def broken(self, fault: Fault, asked: Asked) -> Reply:
        """The upstream's answer under this fault."""
        if isinstance(fault, NotFound):
            return self.refusal(404, fault.kode or "not found")
        return Reply(self.variants(asked)[fault.kind], self.content_type)

    def misfit(self, fault: Fault) -> str | None:
        """Why a fault cannot happen to this upstream; None when it can."""
        if fault.kind not in COMMON | self.own_faults:
            return f"{self.name} has no {fault.kind}"
        if fault.citizen is not None and not self.is_about_citizens:
            return f"{self.name} is not asked about citizens"
        if fault.operation is not None and fault.operation not in self.operations:
            return f"{self.name} has no operation {fault.operation}"
        if isinstance(fault, Huge) and fault.over_months is not None and not self.is_asked_for_months:
            return f"{self.name} is not asked for months"
        return None

    def has(self, method: str, path: str) -> bool:
        """Whether there is anything at an address."""
        return (method, path) in {(self.method, self.path), *self.also}

    def writes(self, request: web.Request) -> bool:  # noqa: ARG002 - most only ask
        """Whether a call changes something at the upstream, and asks nothing."""
        return False

    def forget(self) -> None:  # noqa: B027 - most remember nothing
        """Forgets the state of earlier calls."""


def cpr_number(text: str | None, where: str) -> str:
    """A CPR number as it is sent, ten digits. Raises Breach."""
    if text is None:
        raise Breach(f"{where} is missing")
    if not _CPR.fullmatch(text):
        raise Breach(f"{where} is not ten digits")
    return text
