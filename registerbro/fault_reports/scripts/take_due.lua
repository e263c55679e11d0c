-- Takes at most `at_once` reports that are due, for `queued_for` ms; none while sending is halted. Returns their ids.
-- KEYS: due, halt
-- ARGV: queued_for, at_once
-- CLOCK: steady
if tonumber(redis.call('GET', halt) or 0) > now then return {} end
local found = redis.call('ZRANGEBYSCORE', due, '-inf', now, 'LIMIT', 0, at_once)
for _, id in ipairs(found) do redis.call('ZADD', due, now + queued_for, id) end
return found
