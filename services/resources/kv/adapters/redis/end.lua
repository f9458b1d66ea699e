-- Drops the keys of a plan, however many they are, and remembers that it has ended.
-- KEYS plan events values ends requests
-- ARGV how_long_the_end_is_known_ms how_long_requests_are_ms
if not ended then
  redis.call('UNLINK', KEYS[1], KEYS[3], KEYS[4])
  redis.call('HSET', KEYS[1], 'ended', 1)
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
  redis.call('PEXPIRE', KEYS[5], ARGV[2])
end
return 1
