-- Hands out visible messages, each hidden from now on; one that was handed out too often goes to the dead letters.
-- ARGV channel whose_wake topic dead_letters most visibility_us room most_moves
-- returns {events, next, heads, bodies}: 'id delivery receive_count size' per message, and the bodies, one behind the
-- other; where there is none, in how many microseconds something may be visible, -1 where the topic is empty
local side = side_of(ARGV[4])
local most, room, most_moves = tonumber(ARGV[5]), tonumber(ARGV[7]), tonumber(ARGV[8])
local hidden_until = now + tonumber(ARGV[6])
local limit = side == LIVE and tonumber(redis.call('HGET', KEYS[3], TOPIC) or 0) or 0

local heads, bodies = {}, {}
local moves, full = 0, false
while #bodies < most and moves < most_moves and not full do
  local due = redis.call('ZRANGEBYSCORE', side, '-inf', whole(now), 'LIMIT', 0, most - #bodies)
  if #due == 0 then
    break
  end
  even_if_full()
  for _, id in ipairs(due) do
    local deliveries = tonumber(redis.call('HGET', DELIVERIES, id) or 0)
    local receives = receive_count(id, deliveries)
    if limit > 0 and receives >= limit then
      moves = moves + 1
      redis.call('ZREM', LIVE, id)
      show(DEAD, id, now)
      change('deadletter ' .. whole(receives) .. ' ' .. TOPIC)
    else
      local body = body_of(id)
      if #body > room then
        full = true
        break
      end
      room = room - #body
      redis.call('HSET', DELIVERIES, id, whole(deliveries + 1))
      show(side, id, hidden_until)
      heads[#heads + 1] = id .. ' ' .. whole(deliveries + 1) .. ' ' .. whole(receives + 1) .. ' ' .. #body
      bodies[#bodies + 1] = body
    end
  end
end
if moves > 0 then
  wake()
end
local next_in = -1
if #bodies == 0 then
  local first = redis.call('ZRANGE', side, 0, 0, 'WITHSCORES')
  if #first > 0 then
    next_in = math.max(0, tonumber(first[2]) - now)
  end
end
return {done(), next_in, table.concat(heads, ' '), table.concat(bodies)}
