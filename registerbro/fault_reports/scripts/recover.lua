-- Replaces a sealed content, if it is still `before`. Returns 1 or 0.
-- KEYS: report
-- ARGV: before, after
if redis.call('HGET', report, 'content') ~= before then return 0 end
redis.call('HSET', report, 'content', after)
return 1
