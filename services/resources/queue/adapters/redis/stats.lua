-- Counts the messages of every topic of a plan, by what may become of them.
-- KEYS plan events topics; those of the topics begin as the plan's does, in the same slot
-- returns 'topic visible hidden delayed dead' per topic
local counts = {}
for _, topic in ipairs(redis.call('HKEYS', KEYS[3])) do
  local prefix = KEYS[1] .. ':t:' .. topic .. ':'
  local visible = redis.call('ZCOUNT', prefix .. 'live', '-inf', whole(now))
  -- What is not yet visible since its publish was handed to nobody: it needs no look at its deliveries.
  local delayed = redis.call('ZCOUNT', prefix .. 'delayed', '(' .. whole(now), '+inf')
  local hidden = redis.call('ZCARD', prefix .. 'live') - visible - delayed
  local dead = redis.call('ZCARD', prefix .. 'dead')
  counts[#counts + 1] = table.concat({topic, visible, hidden, delayed, dead}, ' ')
end
return table.concat(counts, ' ')
