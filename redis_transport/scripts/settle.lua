-- Acknowledges messages.
--
-- Arguments:
--   consumer  name of the consumer
--   tags      tags of the messages
--
-- Returns: the tags of those that the consumer does not hold.
return settle(args.consumer, args.tags)
