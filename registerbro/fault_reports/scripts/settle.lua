-- Ends a report as delivered, as an operator found it at the vendor, under `case` or none. Returns settled; the state of
-- a report that is being sent, has been delivered, or never had an unknown outcome; '' without a report.
-- KEYS: report, due, undecided, delivered, texts, rejected, gave_up
-- ARGV: id, case
-- CLOCK: steady
local found = redis.call('HMGET', report, 'state', 'unknown')
if not found[1] then return '' end
if found[1] == 'sending' or found[1] == 'delivered' or not found[2] then return found[1] end
redis.call('HDEL', report, 'reason', 'answer', 'due_at')
redis.call('HSET', report, 'state', 'delivered', 'ended_at', time, 'case', case)
for _, key in ipairs({due, undecided, rejected, gave_up}) do redis.call('ZREM', key, id) end
redis.call('ZADD', delivered, now, id)
redis.call('ZADD', texts, now, id)
return 'settled'
