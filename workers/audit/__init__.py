"""The audit log: who was looked up where, when, on whose behalf and why, and what operators did; docs/audit.md.

`record.py` is the format of a line, `chain.py` one process's files, `heads.py` what the ledger knows of them,
`journal.py` how a process writes, and `reading.py` how it is verified and searched.
"""

from workers.audit.chain import Problem
from workers.audit.heads import Head, Heads
from workers.audit.journal import Action, AuditNotWritten, Journal, about, usable
from workers.audit.reading import LookUp, OperatorAction, Verdict, concerning, verify

__all__ = [
    "Action",
    "AuditNotWritten",
    "Head",
    "Heads",
    "Journal",
    "LookUp",
    "OperatorAction",
    "Problem",
    "Verdict",
    "about",
    "concerning",
    "usable",
    "verify",
]
