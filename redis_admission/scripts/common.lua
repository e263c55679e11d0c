-- Functions that several scripts share. `rules` is the JSON document of `model.Rules`.
--
-- arguments: rules:json

local function get(...)
  local values = redis.call('HMGET', state, ...)
  for i, value in ipairs(values) do values[i] = value or nil end
  return values
end

local function number(value, otherwise) return tonumber(value or otherwise) end

-- Starts a new generation with each change of state: the generation fences results of calls that began before it.
-- Returns the generation. `announced` is the state that listeners are told; `to` when it is nil.
local function change(to, fields, announced)
  local generation = redis.call('HINCRBY', state, 'generation', 1)
  redis.call('HSET', state, 'state', to, 'since', time, 'consecutive', 0, 'successes', 0, unpack(fields or {}))
  redis.call('DEL', window, probes)
  redis.call('PUBLISH', rules.channel, cjson.encode({upstream = rules.upstream, state = announced or to, at = time}))
  return generation
end

-- The share of both limits that is allowed now: halved by each 429, and growing back linearly to 1.
local function factor(values)
  local halved_at = number(values.halved_at, 0)
  if halved_at == 0 then return 1 end
  return math.min(1, number(values.factor, 1) + (now - halved_at) / rules.recovery)
end

local function limit_at(share) return math.max(1, math.floor(rules.max_in_flight * share)) end
