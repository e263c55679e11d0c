-- Remembers for `retry` that a fetch which began `age` ago failed, and publishes `event`; times in ms.
-- Returns 1, or 0 beside newer data.
-- KEYS: entry
-- ARGV: format, reason, age:number, retry:number, channel, event
-- CLOCK: server
-- USES: entries_older, entries_expire_last
local retry_at = now + retry
redis.call('HSET', entry, 'v', format, 'failure', reason, 'failed_at', now, 'retry_at', retry_at)
redis.call('HDEL', entry, 'pending_at', 'pending_until')
expire_last(entry, retry_at)
redis.call('PUBLISH', channel, event)
return 1
