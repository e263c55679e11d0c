-- Takes, for `length` ms, at most `at_once` leases that ended without a result. A lease that was sent `most` times is
-- removed. Returns the citizens whose refresh is sent again, and those whose is given up.
-- KEYS: wanted
-- ARGV: lease_prefix, length:number, most:number, at_once
-- CLOCK: steady
local again, given_up = {}, {}
for _, citizen in ipairs(redis.call('ZRANGEBYSCORE', wanted, '-inf', now, 'LIMIT', 0, at_once)) do
  local lease = lease_prefix .. citizen
  if redis.call('HINCRBY', lease, 'sendings', 1) > most then
    redis.call('DEL', lease)
    redis.call('ZREM', wanted, citizen)
    given_up[#given_up + 1] = citizen
  else
    redis.call('HDEL', lease, 'owner')
    redis.call('ZADD', wanted, now + length, citizen)
    again[#again + 1] = citizen
  end
end
return {again, given_up}
