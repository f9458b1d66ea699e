-- Adds messages, one after the other; one whose idempotency key is known adds nothing.
-- ARGV channel whose_wake topic max_receives max_topics max_messages max_bytes sweep key_kept_us batch
--      (body idempotency_key delay_s)...
-- returns {events, answers}: per item '+id', '=id' where its key was known, or 't', 'm' or 'b' where the plan has no
-- room for one more topic, one more message or its bytes; {-1} where the plan has ended; {-2, max_receives} where the
-- topic was made with another figure
if ended then
  return {-1}
end
local max_messages, max_bytes, key_kept = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[9])
local answers = {}

local max_receives = redis.call('HGET', KEYS[3], TOPIC)
if not max_receives then
  if redis.call('HLEN', KEYS[3]) >= tonumber(ARGV[5]) then
    for at = 11, #ARGV, 3 do
      answers[#answers + 1] = 't'
    end
    return {0, table.concat(answers, ' ')}
  end
  redis.call('HSET', KEYS[3], TOPIC, ARGV[4] == '' and '0' or ARGV[4])
elseif ARGV[4] ~= '' and ARGV[4] ~= max_receives then
  return {-2, max_receives}
end

local function known(key)
  local forget_at = redis.call('ZSCORE', KEYS[10], key)
  return forget_at and tonumber(forget_at) > now and redis.call('HGET', KEYS[9], key)
end

local function sweep(most)
  local due = redis.call('ZRANGEBYSCORE', KEYS[10], '-inf', whole(now), 'LIMIT', 0, most)
  if #due > 0 then
    redis.call('ZREM', KEYS[10], unpack(due))
    redis.call('HDEL', KEYS[9], unpack(due))
  end
end

sweep(ARGV[8])
local depth = every > 0 and redis.call('ZCARD', LIVE)
local some_visible, some_delayed = false, false
for at = 11, #ARGV, 3 do
  local body, key, delay = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
  local first = key ~= '' and known(key)
  if first then
    answers[#answers + 1] = '=' .. first
  elseif messages >= max_messages then
    answers[#answers + 1] = 'm'
  elseif bytes + #body > max_bytes then
    answers[#answers + 1] = 'b'
  else
    local id = keep_body(body, #answers, ARGV[10])
    messages, bytes = messages + 1, bytes + #body
    show(LIVE, id, now + delay * 1000000)
    if delay > 0 then
      some_delayed = true
      show(KEYS[11], id, now + delay * 1000000)
    else
      some_visible = true
    end
    if key ~= '' then
      redis.call('HSET', KEYS[9], key, id)
      redis.call('ZADD', KEYS[10], whole(now + key_kept), key)
    end
    if depth then
      depth = depth + 1
      change('published ' .. #body .. ' ' .. depth .. ' ' .. TOPIC)
    end
    answers[#answers + 1] = '+' .. id
  end
end
if some_delayed then
  redis.call('ZREMRANGEBYSCORE', KEYS[11], '-inf', whole(now))
end
if some_visible then
  wake()
end
return {done(), table.concat(answers, ' ')}
