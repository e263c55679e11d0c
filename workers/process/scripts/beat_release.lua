-- Removes the lock if it is the owner's.
-- KEYS: lock
-- ARGV: owner
if redis.call('GET', lock) == owner then redis.call('DEL', lock) end
