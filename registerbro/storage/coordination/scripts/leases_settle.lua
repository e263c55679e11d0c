-- Ends a lease with a result; the citizen is due again in `due_in` ms ('' is never). Returns 0 to who is not the owner.
-- KEYS: wanted, running, due, taken
-- ITEM KEYS: lease
-- ITEM ARGV: citizen, owner, due_in
-- CLOCK: steady
-- CONSTANTS: ACTIVE_KEY
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
