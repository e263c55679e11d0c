-- Removes a lease. Returns 0 while a run holds it.
-- KEYS: wanted, lease
-- ARGV: citizen
-- CLOCK: steady
local ends = tonumber(redis.call('ZSCORE', wanted, citizen))
if ends and ends > now and redis.call('HEXISTS', lease, 'owner') == 1 then return 0 end
redis.call('DEL', lease)
redis.call('ZREM', wanted, citizen)
return 1
