-- Reads an entry, and what is kept of its citizen. Returns the server's time, the entry's fields, and the values of the
-- keys `citizen` and `standing`.
-- These two are not among KEYS: workers may only read them, and Redis takes each of KEYS for one that is written.
-- ITEM KEYS: entry
-- ITEM ARGV: citizen, standing
-- CLOCK: server
-- USES: entries_put_right
put_right(entry)
return {now, redis.call('HGETALL', entry), redis.call('MGET', citizen, standing)}
