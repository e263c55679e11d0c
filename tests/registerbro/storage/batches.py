"""A script over many items beside the same script over each: both answer alike, and leave the same in Redis."""

import asyncio

SLACK = 60_000
"""Milliseconds by which times of two runs may differ, where a script goes by the server's own clock."""


async def told(answer):
    """An answer, or the error in its place as something that can be compared."""
    try:
        return await answer
    except Exception as error:  # noqa: BLE001 - whatever it is
        return type(error).__name__, str(error)


async def both(redis, fill, script, items):
    """What the script answers to the items, and leaves behind: asked for one by one, and asked for together."""
    runs = []
    for is_together in (False, True):
        await redis.flushdb()
        await fill(redis)
        if is_together:
            answers = await asyncio.gather(*(told(script(**item)) for item in items))
        else:
            answers = [await told(script(**item)) for item in items]
        runs.append((answers, await state_of(redis)))
    return runs


async def state_of(redis):
    """All that is in the database, by key: its type and content, and how long it lasts."""
    return {key: (*await _content(redis, key), await redis.pttl(key)) for key in sorted(await redis.keys())}


async def _content(redis, key):
    kind = (await redis.type(key)).decode()
    match kind:
        case "hash":
            return kind, await redis.hgetall(key)
        case "zset":
            return kind, await redis.zrange(key, 0, -1, withscores=True)
    return kind, await redis.get(key)


def alike(one, other):
    """Whether two runs are the same, but for times that are some milliseconds apart."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(alike, one, other))
    if one == other:
        return True
    try:
        return abs(int(one) - int(other)) < SLACK and int(one) > SLACK
    except (TypeError, ValueError):
        return False
