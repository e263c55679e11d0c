-- Adds to how many items of each kind were left out of a register's answers; kept for `kept_for` ms from now.
-- KEYS: partial
-- ARGV: kept_for, kinds...
-- CLOCK: server
-- CONSTANTS: KIND
redis.call('HSETNX', partial, 'since', now)
redis.call('HSET', partial, 'last', now)
for i = 1, #kinds, 2 do redis.call('HINCRBY', partial, KIND .. kinds[i], kinds[i + 1]) end
redis.call('PEXPIRE', partial, kept_for)
