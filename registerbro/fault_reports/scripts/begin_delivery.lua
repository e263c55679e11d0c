-- Takes the lease of one report for `length` ms, and begins an attempt. Returns the content, when the report was
-- accepted, its author, how many attempts before had an unknown outcome, and 1 if the last of them was interrupted, else
-- 0; nothing when the report is not due or has ended, or when sending is halted.
-- A sender that was killed leaves an attempt without a result. Its outcome is unknown, unless `repeats` is below 0: if
-- the report may not be sent again for it, it waits for an operator, and the answer is unknown_outcome.
-- KEYS: report, attempts, due, halt, undecided, sent_again
-- ARGV: id, owner, length, repeats:number
-- CLOCK: steady
-- CONSTANTS: KEPT_ATTEMPTS
-- USES: leave_to_operator
if tonumber(redis.call('GET', halt) or 0) > now then return false end
local found = redis.call('HMGET', report, 'state', 'due_at', 'content', 'accepted_at', 'citizen')
if found[1] ~= 'accepted' and found[1] ~= 'sending' then
  redis.call('ZREM', due, id)
  return false
end
if tonumber(found[2]) > now then return false end
local interrupted = 0
if found[1] == 'sending' and repeats >= 0 then
  interrupted = 1
  local last = redis.call('LINDEX', attempts, -1)
  if last then redis.call('LSET', attempts, -1, last .. 'unknown_outcome: interrupted') end
  redis.call('HSET', report, 'reason', 'interrupted')
  if redis.call('HINCRBY', report, 'unknown', 1) > repeats then return leave_to_operator() end
end
local unknown = tonumber(redis.call('HGET', report, 'unknown') or 0)
if unknown > 0 then redis.call('ZADD', sent_again, 'NX', now, id) end
redis.call('HSET', report, 'state', 'sending', 'owner', owner, 'due_at', now + length)
redis.call('ZADD', due, now + length, id)
redis.call('HINCRBY', report, 'tries', 1)
redis.call('RPUSH', attempts, time .. ' ')
redis.call('LTRIM', attempts, -KEPT_ATTEMPTS, -1)
return {found[3], found[4], found[5], unknown, interrupted}
