-- Removes keys.
-- KEYS plan events values ends
-- ARGV sweep key...
-- returns {events}
sweep(ARGV[1])
for at = 2, #ARGV do
  local key = ARGV[at]
  local gone = expired(key)
  if drop(key) and not gone then
    change('delete ' .. key)
  end
end
return {done()}
