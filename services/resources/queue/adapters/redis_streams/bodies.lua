-- Bodies in a stream. A message's id is its entry's: the time in microseconds, and a number among those of that time.
local function keep_body(body, position, batch)
  local id = whole(now) .. '-' .. position
  local added = redis.pcall('XADD', KEYS[6], id, 'body', body)
  if type(added) == 'table' then
    if not string.find(added.err, 'equal or smaller', 1, true) then
      error(added.err)
    end
    -- The clock stood still, or went back: the server numbers on from its newest entry.
    added = redis.call('XADD', KEYS[6], '*', 'body', body)
  end
  return added
end

local function body_of(id)
  return redis.call('XRANGE', KEYS[6], id, id)[1][2][2]
end

-- Removes a body; how long it was.
local function drop_body(id)
  local size = #body_of(id)
  redis.call('XDEL', KEYS[6], id)
  return size
end
