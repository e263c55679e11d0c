"""Metrics as Prometheus gets them from real processes, and the dashboard and alert rules that build on them."""

import json
import os
import re
import shutil
import subprocess

import httpx
import pytest
import yaml
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from demo.installation import free_port, installation, wait_for
from simulators.authority import Authority

MONITORING = "monitoring"
NAME = re.compile(r"registerbro_[a-z_]+")


@pytest.fixture
def rules(project):
    groups = yaml.safe_load((project / MONITORING / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


@pytest.fixture
def panels(project):
    dashboard = json.loads((project / MONITORING / "dashboard.json").read_text(encoding="utf-8"))
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


@pytest.fixture
def known(app, make_settings):
    """The names of all metrics that there are, with what histograms and counters add."""
    import registerbro.pages.reader  # noqa: F401 - its metrics are counted
    from registerbro.status import prometheus

    end = prometheus.expose(make_settings())
    try:
        families = list(REGISTRY.collect())
    finally:
        end()
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}
    return {family.name + suffix for family in families for suffix in suffixes.get(family.type, ("",))}


def test_every_expression_asks_for_metrics_that_there_are(rules, panels, known):
    expressions = [rule["expr"] for rule in rules]
    expressions += [target["expr"] for panel in panels for target in panel["targets"]]
    assert len(expressions) > 30
    assert {name for expression in expressions for name in NAME.findall(expression)} <= known


def test_every_metric_is_listed_in_the_documentation(project, known):
    listed = set(NAME.findall((project / "docs" / "operations.md").read_text(encoding="utf-8")))
    ours = {name.removesuffix("_bucket") for name in known if name.startswith("registerbro_")}
    assert {name for name in ours if not name.endswith(("_count", "_sum"))} <= listed


def test_every_alert_says_what_to_do_where_the_documentation_does(project, rules):
    headings = re.findall(
        r"^### (\w+)$", (project / "docs" / "operations.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert [rule["alert"] for rule in rules] == headings
    for rule in rules:
        assert rule["annotations"]["runbook"] == f"docs/operations.md#{rule['alert'].lower()}"
        assert rule["labels"]["severity"] in {"page", "ticket"}


@pytest.mark.skipif(
    shutil.which("promtool") is None and os.environ.get("CI") != "true", reason="there is no promtool on this machine"
)
def test_prometheus_itself_takes_the_rules(project):
    subprocess.run(["promtool", "check", "rules", str(project / MONITORING / "alerts.yml")], check=True)


def scraped(port):
    text = httpx.get(f"http://127.0.0.1:{port}/metrics").raise_for_status().text
    return {family.name for family in text_string_to_metric_families(text)}


@pytest.mark.xdist_group("processes")
def test_worker_and_beat_serve_their_metrics_where_the_setting_says(tmp_path, empty_redis):
    ports = {"worker": free_port(), "beat": free_port()}
    with installation(tmp_path) as here:
        here.use_redis(empty_redis).start_simulators()
        here.settings["METRICS_PORT"] = str(ports["worker"])
        worker = here.start_worker("udb")
        here.settings["METRICS_PORT"] = str(ports["beat"])
        beat = here.start_beat()
        wait_for(lambda: worker.has_logged("worker_ready"), "the worker")
        wait_for(lambda: beat.has_logged("beat_active"), "beat")
        assert {"registerbro_upstream_call_seconds", "registerbro_refreshes"} <= scraped(ports["worker"])
        assert {"registerbro_beat_active", "registerbro_beat_last_tick_timestamp_seconds"} <= scraped(ports["beat"])


@pytest.mark.xdist_group("processes")
def test_a_worker_whose_metrics_port_is_taken_ends_with_one_line_that_names_the_setting(tmp_path, empty_redis):
    port = empty_redis["cache"].port
    with installation(tmp_path, {"METRICS_PORT": str(port)}) as here:
        worker = here.use_redis(empty_redis).start_simulators().start_worker("udb")
        assert worker.popen.wait(60) != 0
        assert f"REGISTERBRO_METRICS_PORT: cannot listen on 127.0.0.1:{port}" in worker.log.read_text()


@pytest.mark.xdist_group("processes")
def test_a_worker_whose_certificate_cannot_be_used_ends_with_one_line_that_names_the_setting(tmp_path, empty_redis):
    file = Authority(tmp_path, "authority").issue("us", passphrase="secret")
    with installation(tmp_path, {"UDB__CLIENT_CERT": str(file)}) as here:
        worker = here.use_redis(empty_redis).start_simulators().start_worker("udb")
        assert worker.popen.wait(60) != 0
        last = worker.log.read_text().strip().splitlines()[-1]
        assert last == "registerbro: REGISTERBRO_UDB__CLIENT_CERT: needs a passphrase"


@pytest.mark.xdist_group("processes")
def test_a_worker_tells_when_its_certificates_end_before_it_calls_anybody(tmp_path, empty_redis):
    file, port = Authority(tmp_path, "authority").issue("us"), free_port()
    with installation(tmp_path, {"UDB__CLIENT_CERT": str(file), "METRICS_PORT": str(port)}) as here:
        worker = here.use_redis(empty_redis).start_simulators().start_worker("udb")
        wait_for(lambda: worker.has_logged("worker_ready"), "the worker")
        text = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    assert 'registerbro_certificate_expiry_timestamp_seconds{upstream="udb",use="client_cert"}' in text
