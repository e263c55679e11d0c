"""Admission controller: circuit breaker, rate limit, concurrency limit and retry budget, shared by a fleet in Redis."""

from redis_admission.controller import REDIS_AWAY, AdmissionController, Permit
from redis_admission.model import Limits, Outcome, Override, OverrideOrder, Rejected, RejectionKind, State
from redis_admission.protocols import Batching, Listener, OverrideStore, SilentListener

__all__ = [
    "REDIS_AWAY",
    "AdmissionController",
    "Batching",
    "Limits",
    "Listener",
    "Outcome",
    "Override",
    "OverrideOrder",
    "OverrideStore",
    "Permit",
    "Rejected",
    "RejectionKind",
    "SilentListener",
    "State",
]
