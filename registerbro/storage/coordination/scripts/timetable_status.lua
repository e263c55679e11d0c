-- Counts a register's schedule. Returns the active, due and taken citizens, and for how many ms the first has been due.
-- KEYS: due, taken
-- CLOCK: steady
-- CONSTANTS: ACTIVE_KEY
local first = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')[2]
return {redis.call('ZCOUNT', ACTIVE_KEY, time, '+inf'), redis.call('ZCOUNT', due, '-inf', now),
  redis.call('ZCOUNT', taken, now, '+inf'), first and math.max(0, now - first) or 0}
