-- Reads keys, and loads no more bytes of values than there is room for.
-- KEYS plan events values ends
-- ARGV room distinct key...; `distinct` is 1 where no key comes twice
-- returns {sizes, ends, values}: a size per key, '-' where it holds nothing, '+' where it is too large for what is left;
-- when each expires, '-' for never, nothing at all where none does; the values, one behind the other
local room = tonumber(ARGV[1])
local ends = redis.call('EXISTS', KEYS[4]) == 1 and redis.call('ZMSCORE', KEYS[4], unpack(ARGV, 3))
local all = ARGV[2] == '1' and tonumber(redis.call('HGET', KEYS[1], 'bytes') or 0) <= room
  and redis.call('HMGET', KEYS[3], unpack(ARGV, 3))

local function value_of(position)
  if ends and ends[position] and tonumber(ends[position]) <= now then
    return false
  end
  if all then
    return all[position]
  end
  if redis.call('HSTRLEN', KEYS[3], ARGV[position + 2]) > room then
    return nil
  end
  return redis.call('HGET', KEYS[3], ARGV[position + 2])
end

local sizes, values = {}, {}
for position = 1, #ARGV - 2 do
  local value = value_of(position)
  if value then
    room = room - #value
    sizes[position] = #value
    values[#values + 1] = value
  else
    sizes[position] = value == nil and '+' or '-'
  end
  if ends then
    ends[position] = ends[position] or '-'
  end
end
return {table.concat(sizes, ' '), ends and table.concat(ends, ' ') or '', table.concat(values)}
