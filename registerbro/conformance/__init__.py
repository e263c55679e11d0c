"""Conformance: what a register's interface is expected to be, held against one call of each of its operations.

`expectations.py` describes an operation, `json_shape.py` makes that of the wire models and both shapes make nodes of
an answer, `comparison.py` holds one against the other, `calls.py` makes the call and its report, `assumptions.py` tells
what an answer decides. `constructed.py` replaces what is personal, `recording.py` writes it, `scanner.py` proves it.
"""
