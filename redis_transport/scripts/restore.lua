-- Puts back what consumers hold that have lapsed.
--
-- Arguments:
--   lapse  seconds of steady time without a sign of life after which a consumer has lapsed
--
-- Returns: how many messages went back; the names of the consumers that held any; the new dead letters, as JSON.
local back, gone, dead = 0, {}, {}
local steady, moment = tick()
adopt_old_dead_letters()
-- No sign of life is from a time to come: where one says so, the clock was lost in between.
for _, ahead in ipairs(redis.call('ZRANGEBYSCORE', alive, '(' .. string.format('%.17g', steady), '+inf')) do
  redis.call('ZADD', alive, steady, ahead)
end
local lapsed =
  redis.call('ZRANGEBYSCORE', alive, '-inf', string.format('%.17g', steady - args.lapse), 'LIMIT', 0, 10)
if redis.call('ZCOUNT', alive, '-inf', '+inf') ~= redis.call('ZCOUNT', consumers, '-inf', '+inf') then
  -- Consumers of releases without the steady time: their token alone tells it, which the server's clock renews.
  for _, other in ipairs(redis.call('ZRANGEBYSCORE', consumers, '-inf', moment - args.lapse)) do
    if not redis.call('ZSCORE', alive, other) then lapsed[#lapsed + 1] = other end
  end
end
for _, consumer in ipairs(lapsed) do
  local score = redis.call('ZSCORE', consumers, consumer)
  local tags = score and redis.call('ZRANGEBYSCORE', index, score, score) or {}
  for _, tag in ipairs(tags) do dead[#dead + 1] = give_back(tag, 'worker lost', false) end
  remove_consumer(consumer)
  back = back + #tags
  if #tags > 0 then gone[#gone + 1] = consumer end
end
return {back, gone, dead}
