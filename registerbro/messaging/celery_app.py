"""Celery app without tasks, for processes that publish.

`workers/app.py` is the same app with its tasks and the signals of a worker.
"""

from typing import Any

from celery import Celery, signals

from config import celery as celery_config
from config.settings import settings, without_credentials
from redis_transport import install as install_transport
from registerbro.messaging import publish
from registerbro.telemetry import trace

if settings().broker_transport == "atomic":
    install_transport()


class App(Celery):  # type: ignore[misc] # it has no types
    """Celery's app whose configuration shows the broker's URL without its password; only connections have that."""

    def _connection(self, url: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - Celery's own
        real = settings().broker_url.get_secret_value()
        return super()._connection(real if url == without_credentials(real) else url, *args, **kwargs)


app = App("registerbro", task_cls="workers.process.base_task:Task")
app.config_from_object(celery_config.configuration(settings()))
app.set_default()  # "current" is per thread, and messages are sent from several


@signals.before_task_publish.connect
def _stamp(headers: dict[str, Any], **_: object) -> None:
    publish.stamp(headers)
    trace.inject(headers)
