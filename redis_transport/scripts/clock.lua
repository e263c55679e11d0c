-- The server's time in seconds. No other place reads it, so that a test can set it.
local function now()
  local time = redis.call('TIME')
  return time[1] + time[2] / 1000000
end
