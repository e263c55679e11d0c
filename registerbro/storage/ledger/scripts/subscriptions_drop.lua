-- Removes the record of a subscription that is to be cancelled, without its cancellation. Returns 0 when it is not to be
-- cancelled, or when a process is at it.
-- KEYS: subscription, due, ending
-- ARGV: citizen
-- CLOCK: steady
if not redis.call('ZSCORE', ending, citizen) then return 0 end
if (tonumber(redis.call('HGET', subscription, 'busy')) or 0) > now then return 0 end
redis.call('DEL', subscription)
redis.call('ZREM', due, citizen)
redis.call('ZREM', ending, citizen)
return 1
