-- Creates the state of an upstream, closed, under the override that the override store holds ('' for none).
--
-- Changes nothing when the state exists. Returns 1 when it was created, 0 when it existed.
--
-- arguments: override by at reason
if redis.call('HSETNX', state, 'generation', 1) == 0 then return 0 end
redis.call('HSET', state, 'state', 'closed', 'since', time)
if override ~= '' then
  redis.call('HSET', state, 'override', override, 'override_by', by, 'override_at', at, 'override_reason', reason)
end
return 1
