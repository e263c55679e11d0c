-- Finds messages that dead stock workers left behind. Consumers of this transport renew what they hold, and it is
-- theirs, whatever the server's and the caller's clocks say.
--
-- Arguments:
--   before  the highest score of what counts as left behind, by the caller's clock
--   most    messages to look at, at most
--
-- Returns: the tags of the messages.
local left = {}
for _, tag in ipairs(redis.call('ZRANGEBYSCORE', index, '-inf', args.before, 'LIMIT', 0, args.most)) do
  local score = redis.call('ZSCORE', index, tag)
  if redis.call('ZCOUNT', consumers, score, score) == 0 then left[#left + 1] = tag end
end
return left
