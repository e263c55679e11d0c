"""The queues: every register has its own, and every task and every queue has somebody who serves it."""

from importlib import import_module

from config.celery import BOOKING_VENDOR, QUEUES, REGISTERS, SUBSCRIBED, WORKERS, bulk, configuration
from domain import overview


def test_the_registers_with_something_to_keep_are_those_with_queues_and_settings(make_settings):
    assert set(REGISTERS) == {section.register for section in overview.KEPT} >= set(overview.REGISTERS)
    settings = make_settings()
    assert all(settings.register(name) for name in REGISTERS)


def test_every_register_has_a_queue_and_a_bulk_queue_and_the_booking_vendor_has_one():
    assert set(QUEUES) == {*REGISTERS, *map(bulk, REGISTERS), BOOKING_VENDOR}
    assert len(QUEUES) == len(set(QUEUES))


def test_the_configured_queues_tell_their_names_to_whatever_asks(make_settings, app):
    """As Flower does, which has no others before it has seen a worker."""
    assert tuple(queue.name for queue in configuration(make_settings())["task_queues"]) == QUEUES
    assert {name: (queue.routing_key, queue.exchange.name) for name, queue in app.amqp.queues.items()} == {
        name: (name, "registerbro") for name in QUEUES
    }


def test_every_worker_service_has_its_tasks_and_its_settings(make_settings):
    settings = make_settings()
    for name in WORKERS:
        assert import_module(f"workers.{name}.tasks")
        assert settings.upstream(name)


def test_every_register_and_the_booking_vendor_have_their_tasks(app):
    assert {name for name, task in app.tasks.items() if task.__module__.startswith("workers.")} == {
        *(
            f"{register}.{task}"
            for register in REGISTERS
            for task in ("refresh", "refresh_many", "sweep", "schedule", "alive")
        ),
        *(f"{register}.cancel_subscriptions" for register in SUBSCRIBED),
        *(f"{BOOKING_VENDOR}.{task}" for task in ("deliver", "deliver_due", "tidy", "alive")),
    }


def test_every_task_is_routed_to_its_own_services_queue(app):
    for name in (name for name, task in app.tasks.items() if task.__module__.startswith("workers.")):
        assert app.amqp.router.route({}, name)["queue"].name == name.partition(".")[0]


def test_everything_in_the_schedule_is_a_task_and_goes_to_its_own_queue(app):
    for entry in app.conf.beat_schedule.values():
        assert entry["task"] in app.tasks
        service = entry["task"].partition(".")[0]
        assert entry["options"]["queue"] in (entry["args"] or [service])
        assert entry["options"]["queue"] in WORKERS[service]
        assert entry["options"].keys() == {"queue"}


def test_messages_are_json_and_nothing_else(make_settings):
    configured = configuration(make_settings())
    assert configured["accept_content"] == ["json"]
    assert configured["task_ignore_result"] is True
