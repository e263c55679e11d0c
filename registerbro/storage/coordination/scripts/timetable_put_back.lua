-- Puts taken citizens back, due in `wait` ms.
-- KEYS: due, taken
-- ARGV: wait:number, citizens...
-- CLOCK: steady
-- CONSTANTS: ACTIVE_KEY
for _, citizen in ipairs(citizens) do
  redis.call('ZREM', taken, citizen)
  if tonumber(redis.call('ZSCORE', ACTIVE_KEY, citizen) or 0) > time then
    redis.call('ZADD', due, now + wait, citizen)
  end
end
