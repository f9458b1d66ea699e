-- Removes messages by their newest deliveries.
-- ARGV channel whose_wake topic dead_letters (id delivery)...
-- returns {events, answers}: a letter per item, '.' where it is gone now, 'u' where it was before, 's' where a newer
-- delivery exists
local side = side_of(ARGV[4])
local answers = {}
for at = 5, #ARGV, 2 do
  local id = ARGV[at]
  local refused = refusal(side, id, ARGV[at + 1])
  if not refused then
    redis.call('ZREM', side, id)
    redis.call('HDEL', DELIVERIES, id)
    if some_forgiven then
      redis.call('HDEL', FORGIVEN, id)
    end
    messages, bytes = messages - 1, bytes - drop_body(id)
  end
  answers[#answers + 1] = refused or '.'
end
return {done(), table.concat(answers)}
