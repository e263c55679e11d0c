-- Puts back messages that the consumer holds.
--
-- Arguments:
--   consumer  name of the consumer
--   reason    the reason, when this counts as a delivery; or nothing
--   to_tail   whether they go to the tail of their queue; else to the head
--   tags      tags of the messages
--
-- Returns: the new dead letters, as JSON.
local reason = args.reason ~= '' and args.reason or nil
local score, dead = redis.call('ZSCORE', consumers, args.consumer), {}
for _, tag in ipairs(args.tags) do
  if score and redis.call('ZSCORE', index, tag) == score then
    dead[#dead + 1] = give_back(tag, reason, args.to_tail)
  end
end
return dead
