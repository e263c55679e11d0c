-- Erases the texts of reports delivered `text_kept_for` ms ago, and removes reports that ended `kept_for` ms ago, at most
-- `at_once` of each. Returns how many of the two.
-- KEYS: texts, delivered, rejected, gave_up, undecided, sent_again
-- ARGV: report_prefix, attempts_prefix, text_kept_for, kept_for, at_once
-- CLOCK: steady
local erased = redis.call('ZRANGEBYSCORE', texts, '-inf', now - text_kept_for, 'LIMIT', 0, at_once)
for _, id in ipairs(erased) do
  redis.call('HDEL', report_prefix .. id, 'content', 'recovery')
  redis.call('ZREM', texts, id)
end
local removed = 0
for _, ended in ipairs({delivered, rejected, gave_up, undecided}) do
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', ended, '-inf', now - kept_for, 'LIMIT', 0, at_once)) do
    local report = report_prefix .. id
    redis.call('DEL', report, attempts_prefix .. id, redis.call('HGET', report, 'key') or '')
    redis.call('ZREM', ended, id)
    redis.call('ZREM', texts, id)
    redis.call('ZREM', sent_again, id)
    removed = removed + 1
  end
end
return {#erased, removed}
