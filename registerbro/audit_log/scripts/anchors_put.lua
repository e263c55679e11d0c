-- Moves a chain's head forward. Returns 0 when it is further already: a head never goes back.
-- KEYS: heads
-- ARGV: chain, seq, hash, closed
local known = redis.call('HGET', heads, chain)
if known and tonumber(cjson.decode(known).seq) > tonumber(seq) then return 0 end
redis.call('HSET', heads, chain, '{"seq":' .. seq .. ',"hash":"' .. hash .. '","closed":' .. closed .. '}')
return 1
