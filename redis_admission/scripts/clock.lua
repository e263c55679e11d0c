-- Steady clock: sets `now`, the time in ms that scripts compare, and `time`, the server's own time in ms since 1970.
--
-- `now` neither goes back nor leaps when the server's clock is set, so that no open breaker, lease or wait gets shorter
-- or longer. A caller that has read this clock before says how much time has passed since, at least and at most, by its
-- own monotonic clock; of a caller that has not, `now` only does not go back.
--
-- The hash `clock` keeps `seen`, the latest `now`; `ahead`, the distance of `now` from the server's time; and `which`,
-- the id of the clock, which is a new one after the key was lost.
--
-- arguments: server_time:number known_clock at_least:number at_most:number
local time, microseconds = server_time, 0
if not time then
  local read = redis.call('TIME')
  time, microseconds = read[1] * 1000 + math.floor(read[2] / 1000), read[2]
end
local kept = redis.call('HMGET', clock, 'seen', 'ahead', 'which')
local seen, now, which = tonumber(kept[1]), time + (tonumber(kept[2]) or 0), kept[3]
if seen then
  local least, most = seen, math.huge
  if known_clock == which then least, most = math.max(seen, at_least), at_most end
  now = math.max(least, math.min(now, most))
else
  which = string.format('%d.%d', time, microseconds)
  redis.call('HSET', clock, 'which', which)
end
redis.call('HSET', clock, 'seen', now, 'ahead', now - time)
