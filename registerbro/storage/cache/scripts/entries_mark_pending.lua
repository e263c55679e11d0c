-- Marks entries as being fetched, each for at most so many ms.
-- KEYS: entries...
-- ARGV: format, limits:number...
-- CLOCK: server
-- USES: entries_expire_last
for i, entry in ipairs(entries) do
  local ends = now + limits[i]
  redis.call('HSET', entry, 'v', format, 'pending_at', now, 'pending_until', ends)
  expire_last(entry, ends)
end
