-- Replaces the records of a citizen by one under the first key, for some ms. Returns 0 if one is not `before` now.
-- KEYS: records...
-- ARGV: keep_for:number, after, before...
for i, record in ipairs(records) do
  if (redis.call('GET', record) or '') ~= before[i] then return 0 end
end
redis.call('SET', records[1], after, 'PX', keep_for)
for i = 2, #records do redis.call('DEL', records[i]) end
return 1
