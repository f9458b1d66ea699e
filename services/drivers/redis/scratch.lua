-- What the scripts of keys and of queues begin with: the server's time, what is known of the plan, its events.
-- KEYS[1] is the plan's hash: ended, every, changes; KEYS[2] is its list of events, in the order of their numbers.
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2] -- microseconds: whole numbers that a double holds

-- Lua would write large numbers with 14 digits.
local function whole(number)
  return string.format('%.0f', number)
end

local plan = redis.call('HMGET', KEYS[1], 'ended', 'every', 'changes')
local ended = plan[1]
local every = tonumber(plan[2] or 0)
local changes = tonumber(plan[3] or 0)
local events = {}

-- Counts a change of the plan; each `every`-th becomes an event.
local function change(text)
  if every == 0 then
    return
  end
  changes = changes + 1
  if changes % every == 0 then
    events[#events + 1] = whole(changes) .. ' ' .. whole(now) .. ' ' .. text
  end
end

-- Keeps the events of this script beside its effect; how many there are.
local function keep_events()
  if #events > 0 then
    redis.call('RPUSH', KEYS[2], unpack(events))
  end
  if changes > tonumber(plan[3] or 0) then
    redis.call('HSET', KEYS[1], 'changes', whole(changes))
  end
  return #events
end
