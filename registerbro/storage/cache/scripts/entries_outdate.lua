-- Makes the data of an entry stale from now on.
-- KEYS: entry
-- CLOCK: server
if redis.call('HEXISTS', entry, 'data') == 1 then redis.call('HSET', entry, 'fresh_until', now) end
