-- Takes or renews the lock for `length` ms. Returns WAS_FREE, WAS_OURS or IS_NOT_OURS.
-- A lock that another process holds ends within `length` ms: one that lasts for longer, since the server's clock was set
-- back, is shortened.
-- KEYS: lock
-- ARGV: owner, length
-- CONSTANTS: WAS_FREE, WAS_OURS, IS_NOT_OURS
local holder = redis.call('GET', lock)
if not holder or holder == owner then
  redis.call('SET', lock, owner, 'PX', length)
  return holder and WAS_OURS or WAS_FREE
end
local left = redis.call('PTTL', lock)
if left < 0 or left > tonumber(length) then redis.call('PEXPIRE', lock, length) end
return IS_NOT_OURS
