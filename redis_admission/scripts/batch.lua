-- The loop of a script that is a function over one item, `item`.
-- What fails in an item is the error of that item alone. What the item had written by then stays, as in any script.
local function attempt(...)
  local is_done, answer = pcall(item, ...)
  -- A nil would end the list of answers.
  if is_done then return answer ~= nil and answer end
  -- Redis raises tables from release 7 on, and strings before; Lua raises strings, with its place and no code in front.
  local text = type(answer) == 'table' and answer.err or tostring(answer)
  text = string.gsub(text, '[\r\n]', ' ')
  return {err = string.find(text, '^%u+ ') and text or 'ERR ' .. text}
end
