-- Writes keys, one after the other.
-- KEYS plan events values ends
-- ARGV max_keys max_bytes sweep (key value ttl_s)...
-- returns {events, answers}: a letter per item, '.' where it is written, 'k' or 'b' where the plan has no room for one
-- more key or for its bytes; {-1} where the plan has ended
if ended then
  return {-1}
end
sweep(ARGV[3])
local max_keys, max_bytes = tonumber(ARGV[1]), tonumber(ARGV[2])
local answers = {}
for at = 4, #ARGV, 3 do
  local key, value = ARGV[at], ARGV[at + 1]
  local size = size_of(key)
  local grown = bytes + #value - (size or -#key)
  if not size and redis.call('HLEN', VALUES) >= max_keys then
    answers[#answers + 1] = 'k'
  elseif grown > max_bytes then
    answers[#answers + 1] = 'b'
  else
    bytes = grown
    redis.call('HSET', VALUES, key, value)
    set_end(key, ARGV[at + 2])
    change('put ' .. key)
    answers[#answers + 1] = '.'
  end
end
return {done(), table.concat(answers)}
