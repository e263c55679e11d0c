-- The clock's time, and behind it each record as it is; '' is none.
-- KEYS: records...
-- CLOCK: steady
local found = {string.format('%d', now)}
for i, record in ipairs(records) do found[i + 1] = redis.call('GET', record) or '' end
return found
