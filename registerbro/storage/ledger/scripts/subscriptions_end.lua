-- Has a citizen's subscription cancelled as soon as possible. Returns 1, or 0 when there is none.
-- KEYS: subscription, due, ending
-- ARGV: citizen, forgotten
-- CLOCK: steady
if redis.call('EXISTS', subscription) == 0 then return 0 end
local cancelled_at = tonumber(redis.call('ZSCORE', due, citizen))
if not redis.call('ZSCORE', ending, citizen) then redis.call('ZADD', ending, now, citizen) end
-- What waits for its next attempt already goes on waiting: the register is down, or refuses it.
if not cancelled_at or not redis.call('HGET', subscription, 'tries') then redis.call('ZADD', due, now, citizen) end
if forgotten == '1' then
  redis.call('HDEL', subscription, 'since', 'at')
  if redis.call('HGET', subscription, 'state') == 'on' then redis.call('HSET', subscription, 'state', 'ending') end
end
return 1
