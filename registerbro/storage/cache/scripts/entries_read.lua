-- Reads entries, all in one command. Returns the server's time, and behind it the fields of each entry.
-- KEYS: entries...
-- CLOCK: server
-- USES: entries_put_right
local found = {now}
for i, entry in ipairs(entries) do
  put_right(entry)
  found[i + 1] = redis.call('HGETALL', entry)
end
return found
