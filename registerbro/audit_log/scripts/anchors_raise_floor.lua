-- Records the last line of a chain that is no longer kept.
-- KEYS: floors
-- ARGV: chain, seq, hash
redis.call('HSET', floors, chain, '{"seq":' .. seq .. ',"hash":"' .. hash .. '"}')
return 1
