-- The citizens whose subscription is to be cancelled now, the longest waiting first.
-- KEYS: due
-- ARGV: most:number
-- CLOCK: steady
return redis.call('ZRANGEBYSCORE', due, '-inf', now, 'LIMIT', 0, most)
