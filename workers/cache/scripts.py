"""What the atomic scripts share: the server's own clock, and durations as they are given to it."""

from datetime import timedelta

NOW = "local t = redis.call('TIME'); local now = t[1] * 1000 + math.floor(t[2] / 1000)\n"
"""Lua: `now` is the server's time in milliseconds since 1970. It may be set: what compares kept times goes by
`workers/steady.py`, or bounds what it reads."""


def ms(duration: timedelta) -> int:
    """A duration in whole milliseconds."""
    return round(duration.total_seconds() * 1000)
