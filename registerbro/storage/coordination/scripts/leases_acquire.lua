-- Records that a refresh is wanted, and takes its lease for `length` ms. Returns 0 while there is a lease already.
-- KEYS: wanted, lease
-- ARGV: citizen, length:number, behalf, purpose, by
-- CLOCK: steady
local ends = tonumber(redis.call('ZSCORE', wanted, citizen))
if ends and ends > now then return 0 end
redis.call('ZADD', wanted, now + length, citizen)
redis.call('DEL', lease)
redis.call('HSET', lease, 'sendings', 1, 'behalf', behalf, 'purpose', purpose, 'by', by)
return 1
