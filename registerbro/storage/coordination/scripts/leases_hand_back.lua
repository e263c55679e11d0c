-- Ends a lease without a result, so that the refresh is wanted again at once. `owner` is '' before a run has begun.
-- KEYS: wanted, lease, running
-- ARGV: citizen, owner
-- CLOCK: steady
if (redis.call('HGET', lease, 'owner') or '') ~= owner then return 0 end
redis.call('HDEL', lease, 'owner')
redis.call('ZREM', running, citizen)
return redis.call('ZADD', wanted, 'XX', 'CH', now, citizen)
