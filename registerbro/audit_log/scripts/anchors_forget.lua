-- Removes what is known of a chain. Returns how many of the two fields there were.
-- KEYS: heads, floors
-- ARGV: chain
return redis.call('HDEL', heads, chain) + redis.call('HDEL', floors, chain)
