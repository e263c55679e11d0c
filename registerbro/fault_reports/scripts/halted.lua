-- Returns for how many ms sending is halted, and the server's time.
-- KEYS: halt
-- CLOCK: steady
return {tonumber(redis.call('GET', halt) or 0) - now, time}
