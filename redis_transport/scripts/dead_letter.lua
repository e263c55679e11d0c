-- Makes a message a dead letter at once.
--
-- Arguments:
--   consumer  name of the consumer that holds it
--   reason    the reason
--   tag       tag of the message
--   queue     its queue, for a message that was fetched without being held; else nothing
-- ARGV[2]: its text, for such a message.
--
-- Returns: the new dead letter as JSON, in a list; an empty list when the consumer does not hold the message.
if args.queue ~= '' then return {add_dead_letter(args.tag, args.queue, ARGV[2], 0, nil, args.reason)} end
local score = redis.call('ZSCORE', consumers, args.consumer)
if not score or redis.call('ZSCORE', index, args.tag) ~= score then return {} end
local raw, queue = parse_note(redis.call('HGET', unacked, args.tag) or '')
if not raw then return {} end
local count, since = redeliveries_of(args.tag)
remove_unacked(args.tag)
return {add_dead_letter(args.tag, queue, raw, count, since, args.reason)}
