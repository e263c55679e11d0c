-- Has the caller cancel a subscription, as `owner`, for `within` ms. Returns {number, tries}; nothing when it is not
-- due, or when another process is at it.
-- KEYS: subscription, due, ending
-- ARGV: citizen, owner, within:number
-- CLOCK: steady
local held = redis.call('HMGET', subscription, 'number', 'busy', 'tries')
if not held[1] then
  redis.call('ZREM', due, citizen)
  redis.call('ZREM', ending, citizen)
  return false
end
local cancelled_at = tonumber(redis.call('ZSCORE', due, citizen))
if not cancelled_at or cancelled_at > now or (tonumber(held[2]) or 0) > now then return false end
if not redis.call('ZSCORE', ending, citizen) then redis.call('ZADD', ending, now, citizen) end
redis.call('HDEL', subscription, 'since')
redis.call('HSET', subscription, 'state', 'ending', 'owner', owner, 'busy', now + within)
return {held[1], tonumber(held[3]) or 0}
