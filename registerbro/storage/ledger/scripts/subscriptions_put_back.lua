-- Has a subscription that was not cancelled wait for `wait` ms until the next attempt. Returns 0 to a late owner.
-- KEYS: subscription, due, ending
-- ARGV: citizen, owner, wait:number
-- CLOCK: steady
if redis.call('HGET', subscription, 'owner') ~= owner then return 0 end
redis.call('HDEL', subscription, 'owner', 'busy')
redis.call('HINCRBY', subscription, 'tries', 1)
redis.call('ZADD', due, now + wait, citizen)
if not redis.call('ZSCORE', ending, citizen) then redis.call('ZADD', ending, now, citizen) end
return 1
