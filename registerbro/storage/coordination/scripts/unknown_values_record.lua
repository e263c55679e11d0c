-- Adds to how often each value was met; kept for `kept_for` ms from now. Beyond `most` values, `more` counts the others.
-- KEYS: unknown
-- ARGV: kept_for, most:number, values...
-- CLOCK: server
-- CONSTANTS: VALUE, MORE
redis.call('HSETNX', unknown, 'since', now)
redis.call('HSET', unknown, 'last', now)
for i = 1, #values, 2 do
  local field = VALUE .. values[i]
  if redis.call('HEXISTS', unknown, field) == 0 and redis.call('HLEN', unknown) >= most then field = MORE end
  redis.call('HINCRBY', unknown, field, values[i + 1])
end
redis.call('PEXPIRE', unknown, kept_for)
