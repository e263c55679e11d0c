-- Reads a citizen's booked deadlines. Returns deadline, when, deadline, when …
-- A booking at a time that has not come was made before the clock was set back. It counts as made now, or it would hide
-- the deadline for longer by as much.
-- KEYS: booked
-- CLOCK: server
local found = redis.call('HGETALL', booked)
for i = 2, #found, 2 do
  if tonumber(found[i]) > now then
    found[i] = string.format('%d', now)
    redis.call('HSET', booked, found[i - 1], found[i])
  end
end
return found
