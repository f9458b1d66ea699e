-- Remembers how many changes of a plan make an event; 0 where it has ended.
-- KEYS plan events
-- ARGV every
if ended then
  return 0
end
redis.call('HSET', KEYS[1], 'every', ARGV[1])
return 1
