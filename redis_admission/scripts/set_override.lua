-- Sets an override, or lifts it ('' for none). Either way the breaker starts anew, closed.
--
-- arguments: override by at reason
if override ~= '' then
  redis.call('HSET', state, 'override', override, 'override_by', by, 'override_at', at, 'override_reason', reason)
else
  redis.call('HDEL', state, 'override', 'override_by', 'override_at', 'override_reason')
end
change('closed', {'opened', 0}, override ~= '' and override or 'closed')
return 1
