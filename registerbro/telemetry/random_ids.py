"""Random, non-secret ids for spans, leases, permits and requests."""

import os
import random
import uuid

# Seeded by the system. Its own random numbers cost a call of it each, and a refresh needs eight.
_random = random.Random()  # noqa: S311 - a guessed id is worth nothing
# Two processes with the same names would take each other's leases and permits for their own.
os.register_at_fork(after_in_child=_random.seed)


def name(size: int = 8) -> str:
    """So many random bytes, as lower-case hexadecimal."""
    return f"{_random.getrandbits(8 * size):0{2 * size}x}"


def request_id() -> str:
    """A random UUID (version 4)."""
    return str(uuid.UUID(int=_random.getrandbits(128), version=4))
