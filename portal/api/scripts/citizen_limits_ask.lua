-- Counts a request of a citizen who may make `most` within `within` ms; `name` is the request's own. Returns 0, or in how
-- many ms the citizen may make the next.
-- KEYS: asked
-- ARGV: most:number, within, name
-- CLOCK: steady
redis.call('ZREMRANGEBYSCORE', asked, '-inf', now - within)
if redis.call('ZCARD', asked) >= most then
  return redis.call('ZRANGE', asked, 0, 0, 'WITHSCORES')[2] + within - now
end
redis.call('ZADD', asked, now, name)
redis.call('PEXPIRE', asked, within)
return 0
