-- Removes a report that waits for an operator, and adds a line about that to `discards`. Returns discarded, the state of
-- another report, or '' without a report.
-- KEYS: report, attempts, rejected, gave_up, undecided, sent_again, discards
-- ARGV: id, reason, by
-- CLOCK: steady
local found = redis.call('HMGET', report, 'state', 'key', 'accepted_at')
if not found[1] then return '' end
if found[1] ~= 'rejected' and found[1] ~= 'gave_up' and found[1] ~= 'unknown_outcome' then return found[1] end
redis.call('RPUSH', discards, cjson.encode({
  id = id, state = found[1], accepted_at = found[3], discarded_at = string.format('%d', time),
  reason = reason, by = by
}))
for _, key in ipairs({rejected, gave_up, undecided, sent_again}) do redis.call('ZREM', key, id) end
redis.call('DEL', report, attempts, found[2])
return 'discarded'
