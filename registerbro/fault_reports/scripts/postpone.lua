-- Ends an attempt that failed: the report waits, longer each time, or ends as gave_up. One that was sent before with an
-- unknown outcome is left to an operator in its place. Returns the state.
-- KEYS: report, attempts, due, ended, undecided
-- ARGV: id, owner, reason, answer, longest_wait:number, retry_after
-- CLOCK: steady
-- USES: owner_check, end_report, backoff, leave_to_operator
keep_answer(answer)
if now < tonumber(found[4]) then return wait_longer() end
if redis.call('HEXISTS', report, 'unknown') == 0 then return finish('gave_up') end
return leave_to_operator()
