-- What a script needs that may end a report: it keeps the vendor's answer, and moves the report to the set `ended`.
local function keep_answer(answer)
  if answer ~= '' then redis.call('HSET', report, 'answer', answer) else redis.call('HDEL', report, 'answer') end
end
local function finish(state)
  redis.call('HSET', report, 'state', state, 'ended_at', time)
  redis.call('ZREM', due, id)
  redis.call('ZADD', ended, now, id)
  return state
end
