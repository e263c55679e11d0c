-- Counts reports. Of those that have not ended, it reads the `most` that are due first. Returns how many are being sent,
-- how many wait after an unknown outcome, for how many ms the oldest has waited, and how many there are in each of the
-- sets.
-- KEYS: due, delivered, rejected, gave_up, undecided, sent_again
-- ARGV: report_prefix, most:number
-- CLOCK: steady
local sending, unknown, oldest = 0, 0, now
for _, id in ipairs(redis.call('ZRANGE', due, 0, most - 1)) do
  local found = redis.call('HMGET', report_prefix .. id, 'state', 'since', 'accepted_at', 'unknown')
  if found[1] == 'sending' then sending = sending + 1 elseif found[4] then unknown = unknown + 1 end
  oldest = math.min(oldest, tonumber(found[2] or found[3]) or now)
end
local counts = {sending, unknown, now - oldest}
for _, key in ipairs({due, delivered, rejected, gave_up, undecided, sent_again}) do
  counts[#counts + 1] = redis.call('ZCARD', key)
end
return counts
