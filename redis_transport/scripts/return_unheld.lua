-- Puts messages that were fetched without being held back to the head of their queue, in their order.
--
-- Arguments:
--   queue  name of the queue
-- ARGV[2] and on: texts of the messages.
for i = #ARGV, 2, -1 do redis.call('RPUSH', list_of(args.queue, ARGV[i]), ARGV[i]) end
wake_up(args.queue)
