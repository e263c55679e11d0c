"""Audit log: every look-up of a citizen (where, when, on whose behalf and why), and what operators did; docs/audit.md.

`record.py` is the format of a line, `chain.py` one process's files, `anchors.py` the ledger's knowledge of them,
`writer.py` writes, and `verification.py` verifies and searches.
"""

from registerbro.audit_log.anchors import Anchors, Head
from registerbro.audit_log.chain import Problem
from registerbro.audit_log.verification import LookUp, OperatorAction, Verdict, concerning, verify
from registerbro.audit_log.writer import Action, AuditNotWritten, AuditWriter, about, usable, with_purpose

__all__ = [
    "Action",
    "Anchors",
    "AuditNotWritten",
    "AuditWriter",
    "Head",
    "LookUp",
    "OperatorAction",
    "Problem",
    "Verdict",
    "about",
    "concerning",
    "usable",
    "verify",
    "with_purpose",
]
