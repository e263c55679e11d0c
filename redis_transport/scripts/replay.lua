-- Puts a dead letter to the tail of its queue, as if it had never been delivered.
--
-- Arguments:
--   tag  tag of the dead letter
--
-- Returns: 1, or 0 when there is no such dead letter.
adopt_old_dead_letters()
local letter = redis.call('HGET', dead_letters, args.tag)
if not letter then return 0 end
letter = cjson.decode(letter)
redis.call('HDEL', dead_letters, args.tag)
redis.call('LPUSH', list_of(letter.queue, letter.message), letter.message)
wake_up(letter.queue)
return 1
