"""Beat's scheduler: RedBeat's, which outlives its Redis, and of which any number may run while one is active.

RedBeat takes its lock once, at the start, and ends when Redis does not answer or the lock is lost. Here every tick
looks for the lock: who has it sends what is due, who has not stands by and tries again, and a Redis or a broker that is
away is waited for.
"""

from typing import Any

import structlog
from celery.beat import SchedulingError
from redbeat import RedBeatScheduler
from redbeat.schedulers import get_redis
from redis import RedisError
from redis.exceptions import LockError
from redis.lock import Lock

from workers import metrics

log = structlog.get_logger()

AGAIN_AFTER = 1.0
"""Seconds until a Redis that did not answer is asked again."""


class Scheduler(RedBeatScheduler):
    """Ticks while it has the lock."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - Celery's and RedBeat's
        self._active = False
        self._reachable = True
        super().__init__(*args, **kwargs)
        self._lock_name = str(self.lock_key)
        # So that RedBeat leaves the lock to us, and waits for none before the first tick.
        self.lock_key: str | None = None
        self._lock: Lock | None = None

    def setup_schedule(self) -> None:
        """Nothing yet: only who has the lock writes the schedule."""

    def tick(self, *_: Any, **__: Any) -> float:  # noqa: ANN401 - Celery's signature
        """Sends what is due, if this one is active. Returns the seconds until the next tick."""
        try:
            wait: float = super().tick() if self._holds_lock() else float(self.max_interval)
        except (RedisError, OSError, SchedulingError) as error:
            self._note(error)
            return AGAIN_AFTER
        self._note(None)
        metrics.BEAT_ACTIVE.set(self._active)
        if self._active:
            metrics.BEAT_TICKED.set_to_current_time()
        return wait

    def maybe_due(self, entry: Any, **kwargs: Any) -> float:  # noqa: ANN401 - RedBeat's entry
        """Sends one entry if it is due. Raises what keeps it from that: the others would fare no better."""
        is_due, next_in = entry.is_due()
        if is_due:
            self.apply_async(entry, **kwargs)
        return float(next_in)

    def close(self) -> None:
        """Gives the lock up, so that another need not wait until it ends."""
        lock, self._lock = self._lock, None
        if lock is not None and self._active:
            try:
                lock.release()
            except (RedisError, OSError) as error:
                log.warning("beat_lock_not_released", detail=type(error).__name__)
        super().close()

    def _holds_lock(self) -> bool:
        if self._lock is None:
            self._lock = Lock(
                get_redis(self.app), self._lock_name, timeout=self.lock_timeout, blocking=False, thread_local=False
            )
        if self._active:
            try:
                self._lock.reacquire()
            except LockError:
                # It ended while we were away, or Redis was emptied.
                self._become(active=False)
            else:
                return True
        if self._lock.acquire():
            # Also what was sent meanwhile, and by whom, is in Redis: what is due is due for whoever is active.
            super().setup_schedule()
            self._become(active=True)
        return self._active

    def _become(self, *, active: bool) -> None:
        self._active = active
        metrics.BEAT_ACTIVE.set(active)
        log.info("beat_active" if active else "beat_standing_by")

    def _note(self, error: Exception | None) -> None:
        """One line when Redis or the broker is lost, and one when it is back."""
        if self._reachable and error is not None:
            log.warning("beat_interrupted", detail=type(error.__cause__ or error).__name__)
        if not self._reachable and error is None:
            log.warning("beat_resumed")
        self._reachable = error is None
