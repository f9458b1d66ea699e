-- Adds to counters, one after the other, and remembers the answers where the request has an id.
-- KEYS plan events values ends requests
-- ARGV max_keys max_bytes sweep request_id digest (key by ttl_s)...
-- returns {events, answers}: per item the sum, or why it is refused, as counter.py writes it; {-1} where the plan has
-- ended; {-2} where the id came with other items
local request_id, digest = ARGV[4], ARGV[5]
if request_id ~= '' then
  local known = redis.call('HGET', KEYS[5], request_id)
  if known then
    local of, answers = string.match(known, '^(%S+) (.*)$')
    if of ~= digest then
      return {-2}
    end
    return {0, answers}
  end
end
if ended then
  return {-1}
end
sweep(ARGV[3])
local max_keys, max_bytes = tonumber(ARGV[1]), tonumber(ARGV[2])
local answers = {}
for at = 6, #ARGV, 3 do
  local key = ARGV[at]
  if expired(key) then
    drop(key)
  end
  local value = redis.call('HGET', VALUES, key)
  local answer
  if not value and redis.call('HLEN', VALUES) >= max_keys then
    answer = 'QUOTA_EXCEEDED:keys:' .. ARGV[1]
  else
    -- The server counts exactly; Lua would not, beyond 53 bits.
    local added = redis.pcall('HINCRBY', VALUES, key, ARGV[at + 1])
    if type(added) == 'table' then
      if string.find(added.err, 'overflow', 1, true) then
        answer = 'COUNTER_OVERFLOW'
      elseif string.find(added.err, 'not an integer', 1, true) then
        answer = 'VALUE_NOT_INTEGER'
      else
        return added
      end
    else
      local sum = redis.call('HGET', VALUES, key)
      local grown = bytes + #sum + (value and -#value or #key)
      if grown <= max_bytes then
        bytes = grown
        answer = sum
        if not value then
          set_end(key, ARGV[at + 2])
        end
        change('incr ' .. key)
      else
        answer = 'QUOTA_EXCEEDED:bytes:' .. ARGV[2]
        if value then
          redis.call('HSET', VALUES, key, value)
        else
          redis.call('HDEL', VALUES, key)
        end
      end
    end
  end
  answers[#answers + 1] = answer
end
local text = table.concat(answers, ' ')
if request_id ~= '' then
  redis.call('HSET', KEYS[5], request_id, digest .. ' ' .. text)
end
return {done(), text}
