"""Redis keys and channels: every name that our code uses on the three servers.

`acl.py` derives each service's rights from these names, so that a new key is not forgotten there; tests/redis_keys.py
holds every key that the tests write against them. Given `ANY` in place of an id, a function returns the pattern of all
its keys. Braces keep the keys of one atomic script in one slot of a cluster.

Two libraries name their own: the queues' keys are kombu's and redis_transport's, those of `admission_key` belong to
redis_admission.
"""

ANY = "*"
"""Wildcard of a pattern."""

# Cache server


def entry_key(citizen_id: str, register: str) -> str:
    """Hash: a citizen's entry of one register."""
    return f"entry:{{{citizen_id}}}:{register}"


def entry_channel(citizen_id: str) -> str:
    """Channel: publishes the name of a register when the citizen's entry of it changes."""
    return f"events:{{{citizen_id}}}"


ENTRY_CHANNELS = "events:*"
"""Pattern of all entries' channels, to the letter as it is subscribed to and granted."""


def citizen_key(citizen_id: str) -> str:
    """String: the citizen's sealed CPR number."""
    return f"citizen:{{{citizen_id}}}"


def standing_key(citizen_id: str) -> str:
    """String: the citizen's contact groups and whether they have an uddannelsespålæg, sealed."""
    return f"standing:{{{citizen_id}}}"


def booked_key(citizen_id: str) -> str:
    """Hash: deadline → when the citizen booked a meeting for it, in ms since 1970 by the cache server's clock."""
    return f"booked:{{{citizen_id}}}"


def employer_key(cvr_number: str) -> str:
    """String: the name of a company."""
    return f"employer:{cvr_number}"


# Coordination server


def wanted_key(register: str) -> str:
    """Sorted set: the citizens whose refresh is wanted, by when their leases end."""
    return f"wanted:{{{register}}}"


def lease_key(register: str, citizen_id: str) -> str:
    """Hash: the details of one lease."""
    return f"lease:{{{register}}}:{citizen_id}"


ACTIVE_KEY = "timetable:active"
"""Sorted set: the citizens for whom the schedule goes on, by when it ends for them."""


def due_key(register: str) -> str:
    """Sorted set: the citizens of the schedule, by when they are due."""
    return f"timetable:due:{{{register}}}"


def taken_key(register: str) -> str:
    """Sorted set: the citizens for whom a message is on its way."""
    return f"timetable:taken:{{{register}}}"


def running_key(register: str) -> str:
    """Sorted set: the citizens whom the schedule refreshes at this moment."""
    return f"timetable:running:{{{register}}}"


def paced_key(register: str) -> str:
    """Hash: how much of the schedule's rate has been used."""
    return f"timetable:paced:{{{register}}}"


def timetable_clock_key(register: str) -> str:
    """Hash: the steady clock of a register's timetable and leases."""
    return f"timetable:clock:{{{register}}}"


def alive_key(queue: str) -> str:
    """String: mark that a task of the queue ended a moment ago."""
    return f"alive:{queue}"


def partial_key(register: str) -> str:
    """Hash: how many items of the register's answers were left out lately."""
    return f"partial:{register}"


def unknown_key(source: str) -> str:
    """Hash: values lately met in a register's answers, or in the portal's tokens, that no table knows."""
    return f"unknown:{source}"


def limit_key(name: str, citizen_id: str) -> str:
    """Sorted set: when a citizen did what `name` counts, within the last minute of the clock at LIMITS_CLOCK_KEY."""
    return f"limits:{name}:{citizen_id}"


LIMITS_CLOCK_KEY = "limits:clock"
"""Hash: the steady clock by which citizens' requests are counted."""


def ended_key(mark: str) -> str:
    """String: the session of the reference portal with this mark was ended by a log-out."""
    return f"ended:{mark}"


def admission_key(upstream: str) -> str:
    """Hash: the state of an upstream's breaker and limits; further keys of redis_admission begin with it."""
    return f"admission:{{{upstream}}}"


ADMISSION_CHANNEL = "events:admission"
"""Channel: the name of an upstream is published when its breaker has changed."""
BEAT_LOCK_KEY = "redbeat::lock"
"""String: the beat that sends. Beats of former releases take the same lock, so that of both kinds one sends."""

# Ledger server


def override_key(upstream: str) -> str:
    """String: an operator's override of an upstream's breaker."""
    return f"override:{upstream}"


FORMER_OVERRIDES_KEY = "overrides"
"""Hash: all overrides by upstream, as former releases kept them."""


def quarantine_key(upstream: str) -> str:
    """Hash: citizen id → since when the citizen is in quarantine at an upstream, in ms since 1970."""
    return f"quarantine:{upstream}"


def subscription_key(register: str, citizen_id: str) -> str:
    """Hash: the citizen's subscription at a register, with the sealed CPR number by which it can be cancelled."""
    return f"subscription:{{{register}}}:{citizen_id}"


def subscriptions_due_key(register: str) -> str:
    """Sorted set: the citizens who are subscribed at a register, by when that is to be cancelled."""
    return f"subscriptions:due:{{{register}}}"


def subscriptions_ending_key(register: str) -> str:
    """Sorted set: the citizens whose subscription is to be cancelled now, by since when."""
    return f"subscriptions:ending:{{{register}}}"


def subscriptions_clock_key(register: str) -> str:
    """Hash: the steady clock of a register's subscriptions."""
    return f"subscriptions:clock:{{{register}}}"


def contact_groups_key(citizen_id: str) -> str:
    """String: the citizen's contact groups over time, as far as looks have shown them, sealed."""
    return f"contact_groups:{{visitering}}:{citizen_id}"


CONTACT_GROUPS_CLOCK_KEY = "contact_groups:clock:{visitering}"
"""Hash: the steady clock by which looks at contact groups are ordered."""


def banner_key(citizen_id: str) -> str:
    """String: the citizen dismissed the banner."""
    return f"banner:{{{citizen_id}}}"


def heads_key(writer: str = "") -> str:
    """Hash: chain → its head, of one writer of the audit log; of all without a writer (former releases)."""
    return f"audit:heads:{writer}" if writer else "audit:heads"


def floors_key(writer: str = "") -> str:
    """Hash: chain → its last line that is no longer kept; likewise."""
    return f"audit:floors:{writer}" if writer else "audit:floors"


def reports_key(name: str) -> str:
    """Any key of the fault reports; all of them are in one slot."""
    return f"{{reports}}:{name}"
