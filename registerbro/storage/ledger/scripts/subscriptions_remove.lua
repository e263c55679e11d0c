-- Removes the record of a subscription that there is none of any more. Returns 0 to a late owner.
-- KEYS: subscription, due, ending
-- ARGV: citizen, owner
-- CLOCK: steady
if redis.call('HGET', subscription, 'owner') ~= owner then return 0 end
redis.call('DEL', subscription)
redis.call('ZREM', due, citizen)
redis.call('ZREM', ending, citizen)
return 1
