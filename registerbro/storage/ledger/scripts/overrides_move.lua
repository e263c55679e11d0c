-- Gives an override that a former release kept in one hash the upstream's own key. Of two, the later is in force.
-- KEYS: former, override
-- ARGV: upstream
local before, kept = redis.call('HGET', former, upstream), redis.call('GET', override)
if not before then return 0 end
if not kept or cjson.decode(kept).at < cjson.decode(before).at then redis.call('SET', override, before) end
return redis.call('HDEL', former, upstream)
