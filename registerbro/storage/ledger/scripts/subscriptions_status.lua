-- Counts: subscriptions, those that are to be cancelled now, and for how long the first of these has been (ms).
-- KEYS: due, ending
-- CLOCK: steady
local first = redis.call('ZRANGE', ending, 0, 0, 'WITHSCORES')[2]
local waited = first and math.max(0, now - first) or 0
return {redis.call('ZCARD', due), redis.call('ZCARD', ending), string.format('%d', waited)}
