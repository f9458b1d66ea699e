-- Bodies in a hash. A message's id is the time and its place in the batch, so that ids sort as they were published.
local function keep_body(body, position, batch)
  local id = string.format('%014x%02x', now, position) .. batch
  redis.call('HSET', KEYS[6], id, body)
  return id
end

local function body_of(id)
  return redis.call('HGET', KEYS[6], id)
end

-- Removes a body; how long it was.
local function drop_body(id)
  local size = redis.call('HSTRLEN', KEYS[6], id)
  redis.call('HDEL', KEYS[6], id)
  return size
end
