-- Lets a key expire at a time, unless it lasts for longer already.
local function expire_last(key, at)
  if at > now + math.max(redis.call('PTTL', key), 0) then redis.call('PEXPIREAT', key, at) end
end
