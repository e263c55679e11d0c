"""Delivery needs what the outbox's tests need: a ledger, a clock that is told the time, and the vendor's simulator."""

from tests.registerbro.fault_reports.conftest import (
    accept,
    bridge,
    clock,
    control,
    ledger,
    make_outbox,
    outbox,
    settings,
    simulation,
)

__all__ = ["accept", "bridge", "clock", "control", "ledger", "make_outbox", "outbox", "settings", "simulation"]
