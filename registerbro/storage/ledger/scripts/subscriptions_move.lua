-- Gives a record the citizen's newest id. Of two, which are of one subscription, that of the newest id stays.
-- KEYS: old, new, due, ending
-- ARGV: old_id, new_id, number
-- CLOCK: steady
local held = redis.call('HGETALL', old)
if #held == 0 or (tonumber(redis.call('HGET', old, 'busy')) or 0) > now then return 0 end
if redis.call('EXISTS', new) == 0 then
  -- Not RENAME, which no service's user may run.
  redis.call('HSET', new, unpack(held))
  redis.call('HSET', new, 'number', number)
  for _, key in ipairs({due, ending}) do
    local score = redis.call('ZSCORE', key, old_id)
    if score then redis.call('ZADD', key, score, new_id) end
  end
end
redis.call('DEL', old)
redis.call('ZREM', due, old_id)
redis.call('ZREM', ending, old_id)
return 1
