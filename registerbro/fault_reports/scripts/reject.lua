-- Ends a report that the vendor will never take. Returns the state.
-- KEYS: report, attempts, due, ended
-- ARGV: id, owner, reason, answer
-- CLOCK: steady
-- USES: owner_check, end_report
keep_answer(answer)
return finish('rejected')
