-- Puts back all that the consumer holds, known to it or not; without anything left, the consumer is removed.
--
-- Arguments:
--   consumer  name of the consumer
--   keep      tags of messages that it goes on holding
--
-- Returns: how many messages went back.
local score = redis.call('ZSCORE', consumers, args.consumer)
if not score then return 0 end
local keep, back = {}, 0
for _, tag in ipairs(args.keep) do keep[tag] = true end
for _, tag in ipairs(redis.call('ZRANGEBYSCORE', index, score, score)) do
  if not keep[tag] then
    give_back(tag, nil, false)
    back = back + 1
  end
end
if redis.call('ZCOUNT', index, score, score) == 0 then remove_consumer(args.consumer) end
return back
