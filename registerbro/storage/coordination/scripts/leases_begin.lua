-- Makes `owner` the owner of a lease that no run holds, for `length` ms. Returns the wish, or nothing.
-- KEYS: wanted
-- ITEM KEYS: lease
-- ITEM ARGV: citizen, length:number, owner
-- CLOCK: steady
local ends = tonumber(redis.call('ZSCORE', wanted, citizen))
if not ends or (redis.call('HEXISTS', lease, 'owner') == 1 and ends > now) then return false end
redis.call('HSET', lease, 'owner', owner)
redis.call('ZADD', wanted, now + length, citizen)
return redis.call('HMGET', lease, 'behalf', 'purpose', 'by')
