-- Stores the data of a fetch that began `age` ago, and publishes `event`; times in ms. Returns 1, or 0 beside newer data.
-- ITEM KEYS: entry
-- ITEM ARGV: format, data, age:number, fresh:number, usable:number, channel, event
-- CLOCK: server
-- USES: entries_older
local fetched = now - age
redis.call('HSET', entry, 'v', format, 'data', data, 'fetched_at', fetched,
  'fresh_until', fetched + fresh, 'usable_until', fetched + usable)
redis.call('HDEL', entry, 'failed_at', 'failure', 'retry_at', 'pending_at', 'pending_until')
redis.call('PEXPIREAT', entry, fetched + usable)
redis.call('PUBLISH', channel, event)
return 1
