-- Waits after a failed attempt: twice as long as before, `longest_wait` at the most and `retry_after` at the least (ms).
-- Needs what `owner_check` needs and gives.
local function wait_longer()
  local wait = math.min((2 ^ tonumber(found[3]) - 1) * 1000, longest_wait)
  -- The last attempt is made when the time is up, unless the vendor asked for a later one.
  return wait_until(math.max(math.min(now + wait, tonumber(found[4])), now + retry_after))
end
