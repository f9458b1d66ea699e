-- Changes when messages become visible, by their newest deliveries: giving them back, and keeping them hidden.
-- ARGV channel whose_wake topic dead_letters given_back (id delivery after_s)...
-- returns {events, answers}: a letter per item, as ack
local side = side_of(ARGV[4])
local given_back = ARGV[5] == '1'
local answers = {}
even_if_full()
local some_visible = false
for at = 6, #ARGV, 3 do
  local id, delivery, after_s = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local refused = refusal(side, id, delivery)
  if not refused then
    show(side, id, now + tonumber(after_s) * 1000000)
    if given_back then
      some_visible = some_visible or after_s == '0'
      change('retry ' .. after_s .. ' ' .. whole(receive_count(id, tonumber(delivery))) .. ' ' .. TOPIC)
    end
  end
  answers[#answers + 1] = refused or '.'
end
if some_visible then
  wake()
end
return {done(), table.concat(answers)}
