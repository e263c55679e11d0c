-- Ends an attempt that does not count: the report is due again in `wait` ms. Halts all sending for `halt_for` ms if that
-- is more than 0. Returns the state.
-- KEYS: report, attempts, due, halt
-- ARGV: id, owner, reason, wait, halt_for:number
-- CLOCK: steady
-- USES: owner_check
redis.call('HINCRBY', report, 'tries', -1)
if halt_for > 0 then redis.call('SET', halt, now + halt_for) end
return wait_until(now + wait)
