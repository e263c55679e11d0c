-- The clock of a script that says `CLOCK: server`.
-- `now` is the server's time in milliseconds since 1970. It may be set: scripts that compare kept times go by the
-- steady clock, or bound what they read.
local t = redis.call('TIME'); local now = t[1] * 1000 + math.floor(t[2] / 1000)
