-- Begins a fetch that needs the citizen's subscription; times in ms. Returns {'on', 'since now'} while it is on;
-- {'busy', left} while another process is at it; otherwise {'asked', ''}, and the caller asks the register, as `owner`.
-- KEYS: subscription, due, ending
-- ARGV: citizen, number, owner, within:number, keep_for:number
-- CLOCK: steady
-- CONSTANTS: KEPT_EXACT_TO
local held = redis.call('HMGET', subscription, 'state', 'since', 'busy')
local busy = tonumber(held[3]) or 0
if busy > now then return {'busy', string.format('%d', busy - now)} end
local cancelled_at = tonumber(redis.call('ZSCORE', due, citizen)) or 0
redis.call('ZREM', ending, citizen)
if math.abs(now + keep_for - cancelled_at) > KEPT_EXACT_TO then redis.call('ZADD', due, now + keep_for, citizen) end
if held[1] == 'on' then
  redis.call('HDEL', subscription, 'tries')
  return {'on', string.format('%d %d', held[2], now)}
end
redis.call('HDEL', subscription, 'since', 'tries')
redis.call('HSET', subscription, 'state', 'asked', 'number', number, 'owner', owner, 'busy', now + within, 'at', time)
return {'asked', ''}
