-- What the scripts of queues have in common.
-- KEYS plan events topics live dead bodies deliveries forgiven known forget delayed
--   topics      topic -> max_receives                 live, dead  message -> when it becomes visible, in microseconds
--   bodies      message -> body                       deliveries  message -> how often it was handed out: the fence
--   forgiven    message -> the deliveries that a redrive no longer counts
--   known       idempotency key -> message            forget      idempotency key -> when it is forgotten
--   delayed     message -> when it becomes visible, of those that were published with a delay
-- ARGV channel whose_wake topic ...
local LIVE, DEAD, DELIVERIES, FORGIVEN = KEYS[4], KEYS[5], KEYS[7], KEYS[8]
local TOPIC = ARGV[3]

local stock = redis.call('HMGET', KEYS[1], 'messages', 'bytes')
local messages, bytes = tonumber(stock[1] or 0), tonumber(stock[2] or 0)
local some_forgiven = redis.call('EXISTS', FORGIVEN) == 1

local function side_of(dead_letters)
  return dead_letters == '1' and DEAD or LIVE
end

-- Why the delivery may no longer be settled: the message is gone, or was handed out again since.
local function refusal(side, id, delivery)
  if not redis.call('ZSCORE', side, id) then
    return 'u'
  elseif redis.call('HGET', DELIVERIES, id) ~= delivery then
    return 's'
  end
end

local function receive_count(id, deliveries)
  return deliveries - tonumber(some_forgiven and redis.call('HGET', FORGIVEN, id) or 0)
end

-- Writes what takes no room. A server that is full lets a script go on that has written before: so a topic can still be
-- emptied.
local function even_if_full()
  redis.call('PERSIST', LIVE)
end

local function show(side, id, visible_at)
  redis.call('ZADD', side, whole(visible_at), id)
end

-- Tells other replicas that something became visible.
local function wake()
  redis.call('PUBLISH', ARGV[1], ARGV[2])
end

-- Ends the script: how many events it made.
local function done()
  if messages ~= tonumber(stock[1] or 0) then
    redis.call('HSET', KEYS[1], 'messages', whole(messages), 'bytes', whole(bytes))
  end
  return keep_events()
end
