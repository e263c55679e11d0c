-- Puts an entry's times right that lie ahead, as the clock was set back: data last from now at the most, and are not
-- fresh.
local function put_right(entry)
  local ahead = (tonumber(redis.call('HGET', entry, 'fetched_at')) or 0) - now
  if ahead <= 0 then return end
  local kept = redis.call('HMGET', entry, 'fresh_until', 'usable_until')
  local fresh, usable = tonumber(kept[1]), tonumber(kept[2])
  if not (fresh and usable) then return end
  usable = string.format('%d', usable - ahead)
  redis.call('HSET', entry, 'fetched_at', now, 'fresh_until', math.min(fresh, now), 'usable_until', usable)
  redis.call('PEXPIREAT', entry, usable)
end
