-- Gives a sign of life, which renews all that the consumer holds.
--
-- Arguments:
--   consumer  name of the consumer
--
-- Returns: 1, or 0 when the consumer had lapsed and was removed, with all that it held.
if not redis.call('ZSCORE', consumers, args.consumer) then return 0 end
renew(args.consumer)
return 1
