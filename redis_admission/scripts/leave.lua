-- Removes a waiter that gives up. Returns 1 when it was there, 0 otherwise.
--
-- arguments: permit
redis.call('ZREM', waiting, permit)
return redis.call('ZREM', alive, permit)
