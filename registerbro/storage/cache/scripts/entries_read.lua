-- Reads entries, all in one command. Returns the server's time, and behind it the fields of each entry.
-- Times that lie ahead, as the clock was set back, are put right: data last from now at the most, and are not fresh.
-- KEYS: entries...
-- CLOCK: server
local found = {now}
for i, entry in ipairs(entries) do
  local ahead = (tonumber(redis.call('HGET', entry, 'fetched_at')) or 0) - now
  if ahead > 0 then
    local kept = redis.call('HMGET', entry, 'fresh_until', 'usable_until')
    local fresh, usable = tonumber(kept[1]), tonumber(kept[2])
    if fresh and usable then
      usable = string.format('%d', usable - ahead)
      redis.call('HSET', entry, 'fetched_at', now, 'fresh_until', math.min(fresh, now), 'usable_until', usable)
      redis.call('PEXPIREAT', entry, usable)
    end
  end
  found[i + 1] = redis.call('HGETALL', entry)
end
return found
