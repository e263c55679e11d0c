-- The clock of a script that says `CLOCK: steady`, around the script. `steady_clock.py` says how it works.
-- `now` is the steady time in milliseconds since 1970, which scripts compare; `time` is the server's, which people read.
-- KEYS: the script's own, and behind them the clock.
-- ARGV: the server's time ('' is TIME); of the caller's reading before: which clock it read, and what that clock can
-- show by now, at least and at most; how much may have passed that no caller knows of ('' is any); then the script's own.
local clock = table.remove(KEYS)
local told = {}
for i = 1, 5 do told[i] = table.remove(ARGV, 1) end
local time, micro = tonumber(told[1]), 0
if not time then
  local t = redis.call('TIME')
  time, micro = t[1] * 1000 + math.floor(t[2] / 1000), t[2]
end
local kept = redis.call('HMGET', clock, 'seen', 'ahead', 'which')
local seen, now, which = tonumber(kept[1]), time + (tonumber(kept[2]) or 0), kept[3]
if seen then
  local least, most = seen, seen + (tonumber(told[5]) or math.huge)
  if told[2] == which then least, most = math.max(seen, told[3]), tonumber(told[4]) end
  now = math.max(least, math.min(now, most))
else
  which = string.format('%d.%d', time, micro)
  redis.call('HSET', clock, 'which', which)
end
redis.call('HSET', clock, 'seen', now, 'ahead', now - time)
local function answer()
-- SCRIPT
end
return {now, which, answer()}
