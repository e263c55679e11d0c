-- Ends a script that would replace newer data by older: `age` is how many ms ago the caller's fetch began.
-- Data from a time that has not come, as the clock was set back, give way to a fetch that began within WITHOUT_CLOCK_MS.
-- CONSTANTS: WITHOUT_CLOCK_MS
local known = tonumber(redis.call('HGET', entry, 'fetched_at'))
if known and known > now - age and (known <= now or age > WITHOUT_CLOCK_MS) then return 0 end
