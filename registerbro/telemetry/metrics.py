"""Metrics that a process counts by itself; no label ever holds anything of a citizen.

The gauges of the shared state are in `registerbro/status/prometheus.py`. docs/operations.md lists both.
"""

from prometheus_client import Counter, Gauge, Histogram, start_http_server

from config.settings import SettingsError

CALLS = Counter(
    "registerbro_upstream_calls_total", "HTTP calls to an upstream, by how they ended", ["upstream", "outcome"]
)
CALL_SECONDS = Histogram(
    "registerbro_upstream_call_seconds",
    "How long an HTTP call to an upstream took",
    ["upstream"],
    buckets=(0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3, 6, 12, 25),
)
RETRIES = Counter("registerbro_upstream_retries_total", "Calls that were made again, by why", ["upstream", "reason"])
NOT_ADMITTED = Counter("registerbro_upstream_not_admitted_total", "Calls that were not made", ["upstream", "reason"])
TOKENS = Counter("registerbro_upstream_tokens_total", "Requests for an access token", ["upstream", "outcome"])
BREAKER_CHANGES = Counter("registerbro_breaker_changes_total", "Changes of a breaker's state", ["upstream", "state"])
CONNECTIONS_ENDED = Counter(
    "registerbro_connections_ended_total",
    "Clients' connections that the portal ended, by what it waited for on them (head, body, idle, unread), or because "
    "all places were taken (made_room for another, refused)",
    ["reason"],
)
ALARMS = Counter("registerbro_alarms_total", "What an operator must look at", ["upstream", "reason"])
REFRESHES = Counter(
    "registerbro_refreshes_total",
    "Refreshes of a register, by lane (interactive, schedule) and end",
    ["register", "lane", "outcome"],
)
CACHE_READS = Counter(
    "registerbro_cache_reads_total",
    "Entries read for pages: fresh, stale, pending, failed, missing, or unreadable with the cache away",
    ["register", "state"],
)
ENTRY_AGE = Histogram(
    "registerbro_entry_age_seconds",
    "How old the data are that a page shows",
    ["register"],
    buckets=(60, 600, 3600, *(hours * 3600 for hours in (3, 6, 9, 12, 18, 24, 48, 72))),
)
UNKNOWN_VALUES = Counter(
    "registerbro_unknown_values_total",
    "Values that no table and no contract knows, by register (portal: of citizens' tokens) and field",
    ["register", "field"],
)
RULES_REFUSALS = Counter(
    "registerbro_rules_file_refusals_total", "Changes of the rules file that were refused; the rules of before stay"
)
RULES_REFUSED = Gauge(
    "registerbro_rules_file_refused", "1 while the rules file as it stands is refused, and the rules of before are used"
)
ITEMS_LEFT_OUT = Counter(
    "registerbro_items_left_out_total", "Items of answers left out as they could not be read", ["register", "kind"]
)
SUBSCRIPTIONS = Counter(
    "registerbro_subscriptions_total",
    "Subscriptions of citizens at a register, by what became of them: subscribed, cancelled, or why it failed",
    ["register", "outcome"],
)
SUBSCRIPTIONS_REFUSED = Counter(
    "registerbro_subscriptions_refused_total",
    "Citizens whom a register does not subscribe, by why",
    ["register", "reason"],
)
UNREADABLE = Counter("registerbro_unreadable_total", "Sealed values that did not open, by what they were", ["what"])
CERTIFICATE_EXPIRY = Gauge(
    "registerbro_certificate_expiry_timestamp_seconds",
    "When a certificate ends, by the setting that names its file; of several certificates the last",
    ["upstream", "use"],
)
CRL_EXPIRY = Gauge(
    "registerbro_crl_expiry_timestamp_seconds",
    "When a revocation list is to be replaced, by the setting that names its file; of several the first",
    ["upstream", "use"],
)
AUDIT_RECORDS = Counter("registerbro_audit_records_total", "Records of the audit log that are on the disk")
AUDIT_FAILURES = Counter(
    "registerbro_audit_failures_total", "What of the audit log failed: to write it, or to tell the ledger", ["what"]
)
AUDIT_SECONDS = Histogram(
    "registerbro_audit_write_seconds",
    "How long a batch of records took to be on the disk",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 3),
)
BEAT_ACTIVE = Gauge("registerbro_beat_active", "Whether this beat is the one that sends")
BEAT_TICKED = Gauge("registerbro_beat_last_tick_timestamp_seconds", "When this beat last looked for what is due")
NOT_SENT = Counter(
    "registerbro_schedule_not_sent_total", "What the schedule did not send, as the queue was long already", ["queue"]
)
REPORTS = Counter(
    "registerbro_fault_reports_total",
    "Fault reports that were accepted or refused, and attempts to deliver them, by what became of each",
    ["outcome"],
)


def serve(host: str, port: int | None) -> None:
    """Serves this process's metrics at `/metrics` for as long as it lives; not at all without a port.

    Raises SettingsError when the port is taken.
    """
    if port is None:
        return
    try:
        start_http_server(port, host)
    except OSError as error:
        raise SettingsError(f"REGISTERBRO_METRICS_PORT: cannot listen on {host}:{port}: {error.strerror}") from None
