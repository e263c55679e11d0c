-- Ends a lease with a result; the citizen is due again in `due_in` ms ('' is never). Returns 0 to who is not the owner.
-- Changes nothing, and returns forced_open, where `stored` is 1 and the register is forced open (`admission`).
-- KEYS: wanted, running, due, taken, admission
-- ITEM KEYS: lease
-- ITEM ARGV: citizen, owner, due_in, stored
-- CLOCK: steady
-- CONSTANTS: ACTIVE_KEY, FORCED_OPEN
if stored == '1' and redis.call('HGET', admission, 'override') == FORCED_OPEN then return FORCED_OPEN end
if redis.call('HGET', lease, 'owner') ~= owner then return 0 end
redis.call('DEL', lease)
redis.call('ZREM', running, citizen)
redis.call('ZREM', taken, citizen)
if due_in == '' then
  redis.call('ZREM', due, citizen)
elseif tonumber(redis.call('ZSCORE', ACTIVE_KEY, citizen) or 0) > time then
  redis.call('ZADD', due, now + tonumber(due_in), citizen)
end
return redis.call('ZREM', wanted, citizen)
