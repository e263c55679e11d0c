-- Ends an attempt whose outcome is unknown, and counts it in `unknown`: the report waits as after a failure, and is sent
-- again at most `repeats` times in its life. Then, or when its time is over, it waits for an operator. Returns unknown_outcome.
-- KEYS: report, attempts, due, undecided
-- ARGV: id, owner, reason, cause, answer, longest_wait:number, retry_after, repeats:number
-- CLOCK: steady
-- USES: owner_check, end_report, backoff, leave_to_operator
redis.call('HSET', report, 'reason', cause)
keep_answer(answer)
local times = redis.call('HINCRBY', report, 'unknown', 1)
if times > repeats or now >= tonumber(found[4]) then return leave_to_operator() end
wait_longer()
return 'unknown_outcome'
