-- Fencing: only the owner of the lease may end an attempt without a delivery. Any other run gets ''.
-- Needs the names report, attempts, due, id, owner and reason; `ended` too where the report ends.
local found = redis.call('HMGET', report, 'state', 'owner', 'tries', 'give_up_at')
if found[1] ~= 'sending' or found[2] ~= owner then return '' end
redis.call('LSET', attempts, -1, redis.call('LINDEX', attempts, -1) .. reason)
redis.call('HSET', report, 'reason', reason)
redis.call('HDEL', report, 'owner')
local function wait_until(at)
  redis.call('HSET', report, 'state', 'accepted', 'due_at', at)
  redis.call('ZADD', due, at, id)
  return 'accepted'
end
