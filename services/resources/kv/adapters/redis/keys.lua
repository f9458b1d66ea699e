-- What the scripts that write keys have in common.
-- KEYS plan events values ends: `values` holds what each key does, `ends` when those expire that do, in microseconds.
local VALUES, ENDS = KEYS[3], KEYS[4]

local before = tonumber(redis.call('HGET', KEYS[1], 'bytes') or 0)
local bytes = before
local some_end = redis.call('EXISTS', ENDS) == 1

-- How long the value is; nil where the key holds nothing.
local function size_of(key)
  local size = redis.call('HSTRLEN', VALUES, key)
  if size == 0 and redis.call('HEXISTS', VALUES, key) == 0 then
    return nil
  end
  return size
end

local function expired(key)
  local ends = some_end and redis.call('ZSCORE', ENDS, key)
  return ends and tonumber(ends) <= now
end

-- Removes a key; whether there was one.
local function drop(key)
  local size = redis.call('HSTRLEN', VALUES, key)
  if redis.call('HDEL', VALUES, key) == 0 then
    return false
  end
  bytes = bytes - #key - size
  if some_end then
    redis.call('ZREM', ENDS, key)
  end
  return true
end

-- Removes a few expired keys, so that what nobody asks for goes, too.
local function sweep(most)
  if some_end then
    for _, key in ipairs(redis.call('ZRANGEBYSCORE', ENDS, '-inf', whole(now), 'LIMIT', 0, most)) do
      drop(key)
    end
  end
end

-- Sets when a key expires; never where `ttl_s` is empty.
local function set_end(key, ttl_s)
  if ttl_s ~= '' then
    redis.call('ZADD', ENDS, whole(now + tonumber(ttl_s) * 1000000), key)
    some_end = true
  elseif some_end then
    redis.call('ZREM', ENDS, key)
  end
end

-- Ends the script: how many events it made.
local function done()
  if bytes ~= before then
    redis.call('HSET', KEYS[1], 'bytes', whole(bytes))
  end
  return keep_events()
end
