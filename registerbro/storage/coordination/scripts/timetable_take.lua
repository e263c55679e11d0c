-- Takes the citizens who are due, for `taken_for` ms: at most `most`, at the rate `per_second` with bursts of `burst` ms,
-- and while fewer than `outstanding` are taken; also those who are not yet due if `early` is 1. Returns the citizens.
-- The key ACTIVE_KEY is not among KEYS: workers may only read it, and Redis takes each of KEYS for one that is written.
-- KEYS: due, taken, paced
-- ARGV: most:number, per_second:number, burst:number, outstanding:number, taken_for:number, early
-- CLOCK: steady
-- CONSTANTS: ACTIVE_KEY, LOOKED_AT
redis.call('ZREMRANGEBYSCORE', taken, '-inf', now)
local interval = 1000 / per_second
burst = math.max(interval, burst)
local used = math.max(tonumber(redis.call('GET', paced) or 0), now - burst)
most = math.min(most, math.floor((now - used) / interval), outstanding - redis.call('ZCARD', taken))
local found = {}
if most <= 0 then return found end
local last = early == '1' and '+inf' or now
for _, citizen in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', last, 'LIMIT', 0, LOOKED_AT)) do
  if #found >= most then break end
  if tonumber(redis.call('ZSCORE', ACTIVE_KEY, citizen) or 0) <= time then
    redis.call('ZREM', due, citizen)
  elseif not redis.call('ZSCORE', taken, citizen) then
    local back = now + taken_for
    redis.call('ZADD', due, back, citizen)
    redis.call('ZADD', taken, back, citizen)
    found[#found + 1] = citizen
  end
end
if #found > 0 then
  redis.call('SET', paced, string.format('%.3f', used + #found * interval), 'PX', math.ceil(2 * burst))
end
return found
