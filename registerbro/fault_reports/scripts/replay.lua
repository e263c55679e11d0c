-- Makes a report due now, and for `give_up_after` ms, as a new one, but that `unknown` stays; lifts a halt. Returns
-- accepted, the state of a report that is sent or delivered, or '' without a report.
-- KEYS: report, due, rejected, gave_up, undecided, halt
-- ARGV: id, give_up_after
-- CLOCK: steady
local state = redis.call('HGET', report, 'state')
if not state then return '' end
if state == 'delivered' or state == 'sending' then return state end
redis.call('DEL', halt)
for _, key in ipairs({rejected, gave_up, undecided}) do redis.call('ZREM', key, id) end
redis.call('HDEL', report, 'ended_at')
redis.call('HSET', report, 'state', 'accepted', 'due_at', now, 'give_up_at', now + give_up_after, 'tries', 0)
redis.call('ZADD', due, now, id)
return 'accepted'
