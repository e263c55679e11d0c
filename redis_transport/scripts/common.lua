-- What all scripts share.
--
-- KEYS[1] to [8] are those of `Names.keys`. ARGV[1] is one JSON object. Every script gets these of its members:
--   prefix          what stands before every key
--   sep             what stands between a queue's name and the rest of a key
--   steps           the priority steps, ascending
--   max_deliveries  deliveries after which a message is a dead letter; 0 is no limit
--   alone_after     redeliveries after which a message may be what kills its worker
--   max_tick        seconds by which the steady time moves on at once, at most
-- The further members are named at the top of each script. Texts of messages are bytes, which JSON cannot hold: they
-- are ARGV[2] and on.
local unacked, index, consumers, deliveries, dead_letters = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local alive, clock, old_dead_letters = KEYS[6], KEYS[7], KEYS[8]
local args = cjson.decode(ARGV[1])

-- Moves the steady time on, and returns it and the server's time, in seconds. By the steady time, and by no other, a
-- consumer is taken for dead. Signs of life and looks for the dead move it on, each time by the server's time since the
-- last, but never back and never by more than `max_tick`. So it stands still while the server refuses to write, is
-- frozen or is gone, and no step of its clock moves it: no consumer ages while it cannot give a sign of life.
--
-- The first write needs no memory. A server that is full refuses a script before its first write alone, so signs of
-- life and looks, which begin alike, are refused together or not at all.
local function tick()
  local moment = now()
  redis.call('ZREM', consumers, '')
  local steady, last = string.match(redis.call('GET', clock) or '', '^(%S+) (%S+)$')
  steady, last = tonumber(steady), tonumber(last)
  if not steady then
    steady = tonumber(redis.call('ZRANGE', alive, -1, -1, 'WITHSCORES')[2]) or 0
  elseif last then
    steady = steady + math.max(0, math.min(moment - last, args.max_tick))
  end
  redis.call('SET', clock, string.format('%.6f %.6f', steady, moment))
  return steady, moment
end

-- Notes a sign of life, gives the consumer a new token, and returns it. No other consumer has the token, so the score
-- of a message says which consumer holds it.
local function renew(consumer)
  local steady, moment = tick()
  local old = redis.call('ZSCORE', consumers, consumer)
  local new = string.format('%.17g', moment)
  while redis.call('ZCOUNT', consumers, new, new) > 0 or redis.call('ZCOUNT', index, new, new) > 0 do
    moment = moment + 0.000001
    new = string.format('%.17g', moment)
  end
  if old then
    for _, tag in ipairs(redis.call('ZRANGEBYSCORE', index, old, old)) do redis.call('ZADD', index, new, tag) end
  end
  redis.call('ZADD', consumers, new, consumer)
  redis.call('ZADD', alive, steady, consumer)
  return new
end

local function remove_consumer(consumer)
  redis.call('ZREM', consumers, consumer)
  redis.call('ZREM', alive, consumer)
end

local function remove_unacked(tag)
  redis.call('ZREM', index, tag)
  redis.call('HDEL', unacked, tag)
end

-- Acknowledges the messages that the consumer holds, and returns the tags of the others.
local function settle(consumer, tags)
  local score, late = redis.call('ZSCORE', consumers, consumer), {}
  for _, tag in ipairs(tags) do
    if score and redis.call('ZSCORE', index, tag) == score then
      remove_unacked(tag)
      redis.call('HDEL', deliveries, tag)
    else
      late[#late + 1] = tag
    end
  end
  return late
end

-- The list of a queue's wake-ups.
local function wake_ups_of(queue)
  return args.prefix .. queue .. args.sep .. 'bell'
end

-- Wakes one consumer of the queue, unless a wake-up waits already.
local function wake_up(queue)
  local wake_ups = wake_ups_of(queue)
  if redis.call('LLEN', wake_ups) == 0 then redis.call('LPUSH', wake_ups, 1) end
end

-- The end of a note. kombu notes a message together with the queue that it came from, as the place to put it back to.
local function end_of_note(queue)
  return ', "", ' .. cjson.encode(queue) .. ']'
end

-- The message of such a note, to the byte, and its queue. Within a JSON text a quotation mark has a backslash before
-- it, so the last place that looks like the border is the border, whatever the message is.
local function parse_note(note)
  local raw, queue = string.match(note, '^%[(.*), "", (".*")%]$')
  if raw then return raw, cjson.decode(queue) end
end

-- What Redis' JSON can read of a message, or an empty table. Python decides what is read and what is not: it reads some
-- texts that Redis does not, of which half a surrogate pair is the one that ordinary programs write.
local function decode_leniently(raw)
  local read, message = pcall(cjson.decode, raw)
  if not read then
    local whole = string.gsub(raw, '\\(.)(%x*)', function(kind, digits)
      if kind == 'u' and string.find(digits, '^[dD][89a-fA-F]') then return '?' .. string.sub(digits, 5) end
    end)
    read, message = pcall(cjson.decode, whole)
  end
  if not read or type(message) ~= 'table' then message = {} end
  if type(message.properties) ~= 'table' then message.properties = {} end
  if type(message.headers) ~= 'table' then message.headers = {} end
  return message
end

-- The list that kombu would put a message into: the queue's own, or the one of its priority.
local function list_of(queue, raw)
  local priority = math.max(0, math.min(9, tonumber(decode_leniently(raw).properties.priority) or 0))
  local step = 0
  for _, s in ipairs(args.steps) do if s <= priority then step = s end end
  return args.prefix .. queue .. (step > 0 and args.sep .. string.format('%d', step) or '')
end

-- A name as it may stand in a log, or nil: any other text might be a person's data.
local function loggable(value)
  return type(value) == 'string' and #value <= 200 and string.find(value, '^[%w_.:@-]+$') and value or nil
end

-- The tag that a message is held under: its delivery tag or, where that is no plain one or another message has it, one
-- that is derived from its text. A redelivered message gets the tag that it was counted under.
local function tag_of(raw, any_redelivered)
  local tag = decode_leniently(raw).properties.delivery_tag
  if type(tag) == 'number' and tag == math.floor(tag) and math.abs(tag) < 1e15 then tag = string.format('%.0f', tag) end
  tag = loggable(tag) or 'sha1-' .. redis.sha1hex(raw)
  local found, tries = nil, 0
  while true do
    if redis.call('HEXISTS', unacked, tag) == 0 and redis.call('HEXISTS', dead_letters, tag) == 0 then
      if not any_redelivered or redis.call('HEXISTS', deliveries, tag) == 1 then return tag end
      found = found or tag
    end
    if found and tries > 1 then return found end
    tries = tries + 1
    tag = 'sha1-' .. redis.sha1hex(raw) .. (tries > 1 and '-' .. tries or '')
  end
end

-- Makes a message a dead letter, and returns it as JSON without the message's text.
local function add_dead_letter(tag, queue, raw, count, since, reason)
  local headers, moment = decode_leniently(raw).headers, now()
  local letter = {tag = tag, queue = queue, task = loggable(headers.task), id = loggable(headers.id),
                  deliveries = count, since = math.floor(since or moment), died = math.floor(moment), reason = reason}
  local without_text = cjson.encode(letter)
  letter.message = raw
  redis.call('HSET', dead_letters, tag, cjson.encode(letter))
  redis.call('HDEL', deliveries, tag)
  return without_text
end

-- The counted redeliveries of a message, the time of the first, and whether it was delivered before, counted or not.
local function redeliveries_of(tag)
  local noted = redis.call('HGET', deliveries, tag)
  if not noted then return 0, nil, false end
  local count, since = string.match(noted, '^(%d+) (%d+)$')
  return tonumber(count), tonumber(since), true
end

-- Puts a message back to the head of its queue, or to the tail. With a reason this counts as a delivery, and the last
-- that is allowed makes the message a dead letter, which is returned as JSON.
local function give_back(tag, reason, to_tail)
  local note = redis.call('HGET', unacked, tag)
  if not note then return redis.call('ZREM', index, tag) and nil end
  local raw, queue = parse_note(note)
  if not raw then return end
  remove_unacked(tag)
  local count, since = redeliveries_of(tag)
  count, since = count + (reason and 1 or 0), since or math.floor(now())
  if reason and args.max_deliveries > 0 and count >= args.max_deliveries then
    return add_dead_letter(tag, queue, raw, count, since, reason)
  end
  redis.call('HSET', deliveries, tag, string.format('%d %d', count, since))
  redis.call(to_tail and 'LPUSH' or 'RPUSH', list_of(queue, raw), raw)
  wake_up(queue)
end

-- Takes over the dead letters of releases that kept them where a queue may be.
local function adopt_old_dead_letters()
  local letters = redis.pcall('HGETALL', old_dead_letters)
  if letters.err or #letters == 0 then return end
  for i = 1, #letters, 2 do redis.call('HSETNX', dead_letters, letters[i], letters[i + 1]) end
  redis.call('DEL', old_dead_letters)
end
