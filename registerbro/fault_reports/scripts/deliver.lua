-- Records that the vendor has a report, as `case`, or '' without one: from any run and however late. Returns 0 if that
-- was known.
-- KEYS: report, attempts, due, delivered, texts, rejected, gave_up, undecided
-- ARGV: id, owner, case
-- CLOCK: steady
local found = redis.call('HMGET', report, 'state', 'owner')
if not found[1] or found[1] == 'delivered' then return 0 end
if found[2] == owner then
  redis.call('LSET', attempts, -1, redis.call('LINDEX', attempts, -1) .. 'delivered')
end
redis.call('HDEL', report, 'owner', 'reason', 'answer')
redis.call('HSET', report, 'state', 'delivered', 'ended_at', time, 'case', case)
for _, key in ipairs({due, rejected, gave_up, undecided}) do redis.call('ZREM', key, id) end
redis.call('ZADD', delivered, now, id)
redis.call('ZADD', texts, now, id)
return 1
