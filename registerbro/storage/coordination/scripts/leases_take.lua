-- Takes and begins a lease for the schedule, for `length` ms. Returns taken, ended, wanted, or full at `at_once` of them.
-- The key ACTIVE_KEY is not among KEYS: workers may only read it, and Redis takes each of KEYS for one that is written.
-- KEYS: wanted, running
-- ITEM KEYS: lease
-- ITEM ARGV: citizen, length:number, owner, at_once:number, behalf, purpose, by
-- CLOCK: steady
-- CONSTANTS: ACTIVE_KEY
local ends, active = redis.call('ZSCORE', wanted, citizen), redis.call('ZSCORE', ACTIVE_KEY, citizen)
if not active or tonumber(active) <= time then return 'ended' end
if ends and tonumber(ends) > now then return 'wanted' end
redis.call('ZREMRANGEBYSCORE', running, '-inf', now)
if redis.call('ZCARD', running) >= at_once then return 'full' end
for _, key in ipairs({wanted, running}) do redis.call('ZADD', key, now + length, citizen) end
redis.call('DEL', lease)
redis.call('HSET', lease, 'sendings', 1, 'owner', owner, 'behalf', behalf, 'purpose', purpose, 'by', by)
return 'taken'
