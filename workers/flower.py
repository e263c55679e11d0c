"""Flower's configuration, read by `celery -A workers.app flower`: viewers log in, and can change nothing.

Flower serves its own /metrics without a log-in, so that page is removed: the same metrics are at METRICS_HOST and
METRICS_PORT, as every process's. This file is run, not imported: its names are Flower's options.
"""

import sys

from celery import current_app
from flower import urls

from config import logging as our_logging
from config.settings import SettingsError, settings
from registerbro.telemetry import metrics

our_logging.configure(settings().log_level)
try:
    basic_auth = [settings().flower_sign_in()]
    metrics.serve(settings().metrics_host, settings().metrics_port)
except SettingsError as error:
    sys.exit(f"registerbro: {error}")

address = settings().flower.host
port = settings().flower.port
read_only = True
# What it is sent, it takes off its own queue and is done with: a transport that notes what it holds would need the very
# keys in which workers note theirs.
if not current_app.conf.broker_url.startswith("amqp"):
    current_app.conf.broker_transport_options = {**current_app.conf.broker_transport_options, "ack_emulation": False}
# Workers send events of their own accord, and tell Flower of themselves when it asks.
enable_events = False

urls.handlers[:] = [one for one in urls.handlers if not (isinstance(one, tuple) and one[0] == "/metrics")]
