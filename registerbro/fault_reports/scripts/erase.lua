-- Removes a report without a trace: a delivered one, or if `undelivered` is 1 any that is not being sent.
-- Returns erased, the state of another report, or '' without a report.
-- KEYS: report, attempts, due, texts, delivered, rejected, gave_up, undecided, sent_again
-- ARGV: id, undelivered
local found = redis.call('HMGET', report, 'state', 'key')
if not found[1] then return '' end
if found[1] ~= 'delivered' and (found[1] == 'sending' or undelivered ~= '1') then return found[1] end
redis.call('DEL', report, attempts, found[2])
for _, place in ipairs({due, texts, delivered, rejected, gave_up, undecided, sent_again}) do
  redis.call('ZREM', place, id)
end
return 'erased'
