"""Beat's scheduler: sends each entry of the schedule once per interval, while this process holds the lock.

Of any number of beats, on any number of hosts, one holds the lock and sends; the others stand by. Beat waits for a
Redis or a broker that is away.

**Nothing of the schedule is stored, and no clock that can be set counts it.** The entries are code
(`beat_schedule.py`), with intervals alone; this process counts when each is due, in seconds of its monotonic clock. So
Redis cannot lose an entry, nor keep a due time in the future that a wrong clock has written; summer time and a clock
that is put right have no effect. A beat that takes the lock sends what it has not sent for an interval, and one that
has just started sends everything: a task may be sent too often.

The lock is the only shared state, and Redis ends it by its own clock, which may be set. Set ahead, the lock ends at
once, and its holder notices before it sends anything more. Set back, the lock would last longer by as much, so a beat
that finds it lasting longer than LOCKED_FOR shortens it.
"""

import time
from collections.abc import Callable
from typing import Any

import structlog
from celery.beat import ScheduleEntry, SchedulingError
from celery.beat import Scheduler as Celerys
from celery.schedules import schedule as every
from kombu.exceptions import OperationalError
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as ConnectionFailed
from redis.retry import Retry

from config.settings import settings
from registerbro.messaging.backlog import Backlog, abandon, waiting
from registerbro.storage import lua
from registerbro.storage.keys import BEAT_LOCK_KEY
from registerbro.telemetry import metrics, random_ids

log = structlog.get_logger()

AGAIN_AFTER = 1.0
"""Seconds until a Redis or a broker that did not answer is asked again."""
LOCKED_FOR = 30.0
"""Seconds that the lock lasts without being renewed, which each tick does: six of the longest ticks may fail."""
SENDS_FOR = LOCKED_FOR / 2
"""Seconds after the lock was last looked for, in which its end is not near."""
ANSWERS_WITHIN = 2.0
"""Seconds that Redis may take for the lock, in a tick of five."""

WAS_FREE, WAS_OURS, IS_NOT_OURS = 2, 1, 0


class Scheduler(Celerys):
    """Celery's, which ticks while it has the lock.

    Raises TypeError for an entry that is not due by an interval: a time of day would need a clock.
    """

    clock: Callable[[], float] = staticmethod(time.monotonic)
    """Seconds since some moment, which no one sets."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - Celery's own
        super().__init__(*args, **kwargs)
        self._me = random_ids.name()
        self._redis = Redis.from_url(
            settings().coordination,
            socket_timeout=ANSWERS_WITHIN,
            socket_connect_timeout=ANSWERS_WITHIN,
            # Once more over a new connection, as after a restart every kept one is closed. Both scripts may run twice.
            retry=Retry(NoBackoff(), 1, supported_errors=(ConnectionFailed,)),
        )
        answers = {"WAS_FREE": WAS_FREE, "WAS_OURS": WAS_OURS, "IS_NOT_OURS": IS_NOT_OURS}
        self._take = lua.BlockingScript(self._redis, lua.load(__file__, "beat_take", **answers))
        self._release = lua.BlockingScript(self._redis, lua.load(__file__, "beat_release"))
        self._backlog = Backlog()
        self._active = False
        self._reachable = True

    def setup_schedule(self) -> None:
        """The entries, all of which are due."""
        self.data: dict[str, ScheduleEntry] = {
            name: self.Entry(**definition, name=name, app=self.app)
            for name, definition in self.app.conf.beat_schedule.items()
        }
        for name, entry in self.data.items():
            if type(entry.schedule) is not every:
                raise TypeError(f"the schedule's {name} is due by a clock, and not by an interval")
        self._due: dict[str, float] = dict.fromkeys(self.data, self.clock())

    def tick(self, *_: Any, **__: Any) -> float:  # noqa: ANN401 - Celery's signature
        """Sends what is due, if this one is active. Returns the seconds until the next tick."""
        try:
            if self._holds_lock():
                self._send_due(self.clock() + SENDS_FOR)
        except (RedisError, OSError, OperationalError, SchedulingError) as error:
            self._log_change(error)
            # Also for the holder of the lock: it sends nothing, which is what the alert is about.
            metrics.BEAT_ACTIVE.set(False)
            return AGAIN_AFTER
        self._log_change(None)
        metrics.BEAT_ACTIVE.set(self._active)
        if not self._active:
            return float(self.max_interval)
        metrics.BEAT_TICKED.set_to_current_time()
        next_due = min(self._due.values(), default=self.clock() + self.max_interval)
        return max(0.0, min(next_due - self.clock(), float(self.max_interval)))

    def close(self) -> None:
        """Gives the lock up, so that another need not wait until it ends."""
        if self._active:
            try:
                self._release(lock=BEAT_LOCK_KEY, owner=self._me)
            except (RedisError, OSError) as error:
                log.warning("beat_lock_not_released", detail=type(error).__name__)
            self._active = False
        self._redis.close()
        super().close()

    @property
    def info(self) -> str:
        """What Celery shows at the start."""
        return f"    . lock -> {BEAT_LOCK_KEY}, {LOCKED_FOR:.0f} s"

    def _send_due(self, until: float) -> None:
        """Sends what is due, the longest first; what would be sent after `until` is left to the next tick.

        Raises what keeps one from being sent, as the others would fare no better. It is due again after those, so that
        one which never can be keeps none of them.
        """
        now = self.clock()
        for name in sorted((name for name, due in self._due.items() if due <= now), key=self._due.__getitem__):
            if self.clock() >= until:
                return
            try:
                self._send(self.data[name])
            except Exception:
                self._due[name] = now + AGAIN_AFTER
                self._disconnect()
                raise
            # Its turns stay where they were, but those that were missed are not made up for.
            interval = self.data[name].schedule.run_every.total_seconds()
            following = self._due[name] + interval
            self._due[name] = following if following > now else now + interval

    def _send(self, entry: ScheduleEntry) -> None:
        queue = entry.options["queue"]
        if not self._backlog.holds_back(queue, waiting(self.connection, queue)):
            self.apply_async(entry, producer=self.producer, advance=False)

    def _ensure_connected(self) -> Any:  # noqa: ANN401 - kombu's connection
        """Celery's, which waits here for ever: the lock would end meanwhile."""
        return self.connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0)

    def _disconnect(self) -> None:
        """The next message is sent over a new connection."""
        self.__dict__.pop("producer", None)
        connection = self.__dict__.pop("connection", None)
        if connection is not None:
            abandon(connection)

    def _holds_lock(self) -> bool:
        found = self._take(lock=BEAT_LOCK_KEY, owner=self._me, length=round(LOCKED_FOR * 1000))
        if self._active and found == WAS_FREE:
            # Deleted, ended while we were away, or ended by a clock that was set; no other beat has taken it.
            log.warning("beat_lock_lost")
        if self._active != (found != IS_NOT_OURS):
            self._become(active=not self._active)
        return self._active

    def _become(self, *, active: bool) -> None:
        self._active = active
        metrics.BEAT_ACTIVE.set(active)
        log.info("beat_active" if active else "beat_standing_by")

    def _log_change(self, error: Exception | None) -> None:
        """One line when Redis or the broker is lost, and one when it is back."""
        if self._reachable and error is not None:
            # Celery's SchedulingError stands for what kept it from sending.
            log.warning("beat_interrupted", detail=type(error.__cause__ or error.__context__ or error).__name__)
        if not self._reachable and error is None:
            log.warning("beat_resumed")
        self._reachable = error is None
