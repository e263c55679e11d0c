"""The work itself, asynchronous and synchronous, and how much of it is under way at once."""

import os
from datetime import date, timedelta

from pydantic import BaseModel, Field

AT_ONCE = int(os.environ.get("PEERS_AT_ONCE", "400"))
KEPT_FOR = timedelta(hours=72)
CPR_HEADER = "x-civilRegistrationIdentifier"
UPSTREAM, STORE, BROKER = (os.environ.get(f"PEERS_{name}", "") for name in ("UPSTREAM", "STORE", "BROKER"))


class Begun(BaseModel):
    """An education that was begun with SU."""

    uddannelsestype: str
    uddannelse: str
    startdato: date
    annulleret: bool


class SuData(BaseModel):
    """SU's answer."""

    cpr: str = Field(alias="civilRegistrationIdentifier")
    forloeb: list[Begun]


def checked(cpr: str, body: bytes) -> str:
    """The answer as it is stored. Raises ValueError when it is not of the contract, or about somebody else."""
    answer = SuData.model_validate_json(body)
    if answer.cpr != cpr:
        raise ValueError("another person")
    return answer.model_dump_json()


def key(cpr: str) -> str:
    """Where it is stored."""
    return f"answer:{cpr}"
