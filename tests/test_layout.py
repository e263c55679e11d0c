"""Where tests are: each source file has a test file of its name in the mirrored folder.

A package that is one thing may have one file of tests, of the package's name: `tests/config/test_settings.py` is about
`config/settings/`.
"""

from pathlib import Path

import pytest

from tests.conftest import SYSTEM
from tests.test_references import ROOMS, ROOT, project_files

UNTESTED_BY_NAME = {
    "cli/alive.py",
    "cli/audit.py",
    "cli/dead_letters.py",
    "cli/forget.py",
    "cli/keys.py",
    "cli/page.py",
    "cli/process.py",
    "cli/start.py",
    "config/reloading.py",
    "demo/processes.py",
    "demo/redis_server.py",
    "demo/reference_portal/api.py",
    "demo/reference_portal/assets.py",
    "demo/reference_portal/calendar_view.py",
    "demo/reference_portal/front.py",
    "demo/reference_portal/overview_view.py",
    "demo/reference_portal/settings.py",
    "demo/reference_portal/simulator_client.py",
    "demo/reference_portal/site.py",
    "demo/reference_portal/texts.py",
    "demo/show.py",
    "domain/citizen.py",
    "domain/hidden_characters.py",
    "domain/overview.py",
    "portal/api/cache_events.py",
    "portal/api/dependencies.py",
    "portal/api/jwks.py",
    "portal/api/middleware.py",
    "portal/api/openapi_examples.py",
    "portal/api/pages.py",
    "portal/api/problems.py",
    "portal/body_timeout.py",
    "redis_admission/protocols.py",
    "registerbro/audit_log/chain.py",
    "registerbro/audit_log/record.py",
    "registerbro/event_loop.py",
    "registerbro/fault_reports/model.py",
    "registerbro/gc_tuning.py",
    "registerbro/messaging/celery_app.py",
    "registerbro/messaging/publish.py",
    "registerbro/refresh/unknown_values.py",
    "registerbro/services.py",
    "registerbro/status/prometheus.py",
    "registerbro/storage/cache/booked_deadlines.py",
    "registerbro/storage/coordination/partial_answers.py",
    "registerbro/storage/keys.py",
    "registerbro/storage/ledger/dismissed_banners.py",
    "registerbro/storage/ledger/quarantine.py",
    "registerbro/storage/sealing/recovery_key.py",
    "registerbro/telemetry/metrics.py",
    "registerbro/telemetry/otel.py",
    "registerbro/telemetry/random_ids.py",
    "registerbro/terminal.py",
    "registerbro/upstreams/body_reading.py",
    "registerbro/upstreams/certificate_files.py",
    "registerbro/upstreams/deadline.py",
    "registerbro/upstreams/look_up_log.py",
    "registerbro/upstreams/messages.py",
    "simulators/__main__.py",
    "simulators/authority.py",
    "simulators/companies.py",
    "simulators/dfdg.py",
    "simulators/eindkomst_answer.py",
    "simulators/gateway.py",
    "simulators/protocol.py",
    "simulators/register_data.py",
    "simulators/server.py",
    "tools/advisory_feed.py",
    "tools/compose_check.py",
    "tools/env_example.py",
    "workers/app.py",
    "workers/eindkomst/cvr_wire.py",
    "workers/eindkomst/question.py",
    "workers/eindkomst/report_parsing.py",
    "workers/eindkomst/xml_names.py",
    "workers/flower.py",
    "workers/process/beat_schedule.py",
    "workers/process/canary_task.py",
    "workers/process/current.py",
    "workers/process/event_batching.py",
    "workers/process/register_tasks.py",
    "workers/su/client.py",
    "workers/su/tasks.py",
    "workers/udb/client.py",
    "workers/udb/tasks.py",
    "workers/ydelse/client.py",
}
"""Source files whose tests have another name, or are about more than the file. The list may only shrink."""


def mirrored(source):
    """The places of the tests of a source file: of its name, or of its package's."""
    package = source.parent
    return Path("tests", package, f"test_{source.name}"), Path("tests", package.parent, f"test_{package.name}.py")


def is_tested(source):
    return any((ROOT / place).is_file() for place in mirrored(source))


def sources():
    paths = [path.relative_to(ROOT) for path in project_files(".py")]
    return [path for path in paths if path.parts[0] in ROOMS and path.name != "__init__.py"]


def test_every_source_file_has_a_test_file_of_its_name():
    bare = {path.as_posix() for path in sources() if not is_tested(path)}
    assert len(sources()) > 150
    assert sorted(bare - UNTESTED_BY_NAME) == []


def test_the_list_of_those_without_holds_none_that_has_one_or_is_gone():
    gone = [path for path in sorted(UNTESTED_BY_NAME) if not (ROOT / path).is_file()]
    tested = [path for path in sorted(UNTESTED_BY_NAME) if is_tested(Path(path))]
    assert (gone, tested) == ([], [])


def test_no_folder_of_tests_is_of_a_room_that_is_gone():
    beside = {"bench", "docs", "libraries", "recordings", "system"}
    rooms = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert rooms - beside - {*ROOMS} == set()


@pytest.mark.parametrize("path", sorted(SYSTEM))
def test_what_is_listed_for_the_system_tier_is_there(path):
    text = (ROOT / "tests" / path).read_text("utf-8")
    assert [name for name in sorted(SYSTEM[path]) if f"def {name}(" not in text] == []
