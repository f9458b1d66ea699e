-- Takes the events up to a number from the front of a list, and keeps aside those that nobody ever takes.
-- KEYS events refused
-- ARGV number how_long_refused_are_kept_ms refused_event...
local upto = tonumber(ARGV[1])
while true do
  local head = redis.call('LINDEX', KEYS[1], 0)
  if not head or tonumber(string.match(head, '^%d+')) > upto then
    break
  end
  redis.call('LPOP', KEYS[1])
end
if #ARGV > 2 then
  redis.call('RPUSH', KEYS[2], unpack(ARGV, 3))
  redis.call('PEXPIRE', KEYS[2], ARGV[2])
end
return redis.call('LLEN', KEYS[1])
