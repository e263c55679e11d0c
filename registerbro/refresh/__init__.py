"""Refresh: brings a citizen's registers up to date, asked for by a citizen, an operator or the schedule."""

from registerbro.refresh.request import (
    OutsideTargetGroup,
    Reason,
    Requested,
    State,
    UnknownRegister,
    end_fetching,
    request_due,
)

__all__ = [
    "OutsideTargetGroup",
    "Reason",
    "Requested",
    "State",
    "UnknownRegister",
    "end_fetching",
    "request_due",
]
