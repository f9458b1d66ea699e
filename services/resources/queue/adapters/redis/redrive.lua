-- Moves dead letters, by their newest deliveries, back to the topic: visible now, their deliveries forgiven.
-- ARGV channel whose_wake topic (id delivery)...
-- returns {events, answers}: a letter per item, as ack
local answers = {}
even_if_full()
local some_visible = false
for at = 4, #ARGV, 2 do
  local id, delivery = ARGV[at], ARGV[at + 1]
  local refused = refusal(DEAD, id, delivery)
  if not refused then
    redis.call('ZREM', DEAD, id)
    redis.call('HSET', FORGIVEN, id, delivery)
    show(LIVE, id, now)
    some_visible = true
  end
  answers[#answers + 1] = refused or '.'
end
if some_visible then
  wake()
end
return {done(), table.concat(answers)}
