-- Lets the schedule go on for a citizen for `length` ms from now, and not after `latest` (ms since 1970, '' is no limit).
-- KEYS: active
-- ARGV: citizen, length:number, latest
-- CLOCK: server
local ends = now + length
if latest ~= '' then ends = math.min(ends, tonumber(latest)) end
redis.call('ZREMRANGEBYSCORE', active, '-inf', now)
redis.call('ZADD', active, ends, citizen)
