-- Drops every topic of a plan, however many messages they hold, and remembers that it has ended.
-- KEYS plan events topics; those of the topics begin as the plan's does, in the same slot
-- ARGV how_long_the_end_is_known_ms part_of_a_topic...
if not ended then
  for _, topic in ipairs(redis.call('HKEYS', KEYS[3])) do
    for at = 2, #ARGV do
      redis.call('UNLINK', KEYS[1] .. ':t:' .. topic .. ':' .. ARGV[at])
    end
  end
  redis.call('UNLINK', KEYS[1], KEYS[3])
  redis.call('HSET', KEYS[1], 'ended', 1)
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
return 1
