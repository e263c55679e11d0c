-- Keeps a report under its idempotency key; times in ms. `recovery` is the content sealed for its recovery, or ''.
-- Returns {accepted, id, time}; {again, id, time} for the same key and text; {reused} for the same key and another text;
-- {limited, wait} when the citizen has handed in `most` reports within `within`.
-- KEYS: report, key, rate, due
-- ARGV: id, citizen, content, fingerprint, give_up_after, most:number, within, queued_for, recovery
-- CLOCK: steady
local known = redis.call('HMGET', key, 'id', 'fingerprint', 'accepted_at')
if known[1] then
  if known[2] ~= fingerprint then return {'reused'} end
  -- A write, so that this answer too waits until the record it speaks of is on disk.
  redis.call('HINCRBY', key, 'asked_again', 1)
  return {'again', known[1], known[3]}
end
redis.call('ZREMRANGEBYSCORE', rate, '-inf', now - within)
if redis.call('ZCARD', rate) >= most then
  local oldest = redis.call('ZRANGE', rate, 0, 0, 'WITHSCORES')[2]
  return {'limited', oldest + within - now}
end
redis.call('ZADD', rate, now, id)
redis.call('PEXPIRE', rate, within)
redis.call('HSET', key, 'id', id, 'fingerprint', fingerprint, 'accepted_at', time)
redis.call('HSET', report, 'state', 'accepted', 'citizen', citizen, 'content', content, 'key', key,
  'accepted_at', time, 'since', now, 'due_at', now, 'give_up_at', now + give_up_after, 'tries', 0)
if recovery ~= '' then redis.call('HSET', report, 'recovery', recovery) end
redis.call('ZADD', due, now + queued_for, id)
return {'accepted', id, time}
