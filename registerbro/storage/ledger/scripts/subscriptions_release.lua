-- Ends an attempt to subscribe whose outcome is not known. Returns 0 to a late owner.
-- KEYS: subscription
-- ARGV: owner
-- CLOCK: steady
if redis.call('HGET', subscription, 'owner') ~= owner then return 0 end
redis.call('HDEL', subscription, 'owner', 'busy')
return 1
