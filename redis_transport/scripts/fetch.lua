-- Fetches messages, and acknowledges others on the way.
--
-- Arguments:
--   consumer  name of the consumer
--   limit     messages to fetch, at most
--   fresh     age in seconds above which the consumer's token is renewed
--   alone     whether the consumer holds a message that must be alone
--   queues    names of the queues, in their order
--   no_ack    names of those whose messages need no acknowledgement
--   acks      tags of messages to acknowledge
-- KEYS[9] and on: for each priority step the list of each queue, in that order.
--
-- A message that needs no acknowledgement is fetched alone, as the last: it is in no key until it is handed over.
-- Returns: whether the consumer was known; tags that were acknowledged too late; whether more is waiting; and for each
-- message the number of its queue, its tag, its text, its redeliveries, and whether it was delivered before.
local consumer, queues, limit, alone = args.consumer, args.queues, args.limit, args.alone
local no_ack = {}
for _, queue in ipairs(args.no_ack) do no_ack[queue] = true end
local late = settle(consumer, args.acks)
local score = redis.call('ZSCORE', consumers, consumer)
local known, current, passed_over = score and 1 or 0, false, false
local any_redelivered = redis.call('EXISTS', deliveries) == 1
local taken = {}
for i = 9, #KEYS do
  if limit <= 0 then break end
  local number = (i - 9) % #queues + 1
  local list, queue = KEYS[i], queues[number]
  local held = not no_ack[queue]
  for _, raw in ipairs(redis.call('RPOP', list, held and limit or 1) or {}) do
    local tag = tag_of(raw, any_redelivered)
    local count, before = 0, false
    if any_redelivered then
      local times, _, redelivered = redeliveries_of(tag)
      count, before = times, redelivered
    end
    if held and alone and count >= args.alone_after then
      redis.call('LPUSH', list, raw)
      passed_over = true
    else
      if held then
        if not current then
          local age = score and now() - score
          if not age or age > args.fresh or age < 0 then score = renew(consumer) end
        end
        current = true
        alone = alone or count >= args.alone_after
        redis.call('ZADD', index, score, tag)
        redis.call('HSET', unacked, tag, '[' .. raw .. end_of_note(queue))
      elseif before then
        redis.call('HDEL', deliveries, tag)
      end
      local n = #taken
      taken[n + 1], taken[n + 2], taken[n + 3], taken[n + 4] = number, tag, raw, count
      taken[n + 5] = before and 1 or 0
      limit = held and limit - 1 or 0
    end
  end
end
local more = 0
if #taken > 0 then
  for i = 9, #KEYS do
    if redis.call('EXISTS', KEYS[i]) == 1 then
      more = 1
      wake_up(queues[(i - 9) % #queues + 1])
    end
  end
elseif not passed_over then
  for _, queue in ipairs(queues) do redis.call('DEL', wake_ups_of(queue)) end
end
return {known, late, more, taken}
