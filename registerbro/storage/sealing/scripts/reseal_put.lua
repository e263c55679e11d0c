-- Replaces a sealed value, a field of a hash or the whole key where `field` is ''. Returns 0 if it is not `before` now.
-- KEYS: place
-- ARGV: field, before, after
if field == '' then
  if redis.call('GET', place) ~= before then return 0 end
  redis.call('SET', place, after, 'KEEPTTL')
else
  if redis.call('HGET', place, field) ~= before then return 0 end
  redis.call('HSET', place, field, after)
end
return 1
