-- What a script needs that may leave a report of unknown outcome to an operator: it is due no more.
-- Needs the names report, due, undecided, id and now.
local function leave_to_operator()
  redis.call('HDEL', report, 'owner', 'due_at')
  redis.call('HSET', report, 'state', 'unknown_outcome')
  redis.call('ZREM', due, id)
  redis.call('ZADD', undecided, now, id)
  return 'unknown_outcome'
end
