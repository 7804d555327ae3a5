-- The only writer of the ranking. Every call is one atomic step.
--
-- KEYS  1 players   hash: user id -> "version|score|reachedAt|visible|name"
--       2 ranking   sorted set of the visible players: score, member "{MAX_MS-reachedAt:015d}#{user id}"
--       3 revision  number of the visible board
--       4 ready     present: the ranking may be shown
--       5 full      present: every player is in the ranking
--       6 floor     "score|written at (us)"
--       7 epoch     random: the name of this life of the data; gone with them
--       8 ...     guess: one for each rate limit of a request: when its burst will be whole again (us)
--                 keep, unlock: the lock
-- ARGV  1 operation, 2 rows on the board, then the operation's arguments
--
-- Numbers cross as strings: Lua's own formatting keeps 14 digits only. As doubles they are exact to 2^53.

local players, ranking, revision, ready, full, floor, epoch = unpack(KEYS, 1, 7)
local BOARD_SIZE, MEMBER_ID, FLOOR_TTL_US = tonumber(ARGV[2]), 17, 10000000

local function now()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000000 + tonumber(time[2])
end

local function digits(number)
  return string.format('%.0f', number)
end

local function parse(record)
  return string.match(record, '^(%d+)|(%d+)|(%d+)|(%d)|(.*)$')
end

-- The visible board as a flat list: id, score, name, id, ...; nil while it may not be shown.
local function top()
  if redis.call('EXISTS', ready) == 0 then return nil end
  local flat, ids = {}, {}
  for i, member in ipairs(redis.call('ZREVRANGE', ranking, 0, BOARD_SIZE - 1)) do
    ids[i] = string.sub(member, MEMBER_ID)
  end
  if #ids == 0 then return flat end
  for i, record in ipairs(redis.call('HMGET', players, unpack(ids))) do
    if not record then
      -- Half of the data was evicted or deleted by hand: start over, the reconciler rebuilds.
      redis.call('DEL', players, ranking, ready, full, epoch)
      return nil
    end
    local _, score, _, _, name = parse(record)
    flat[#flat + 1], flat[#flat + 2], flat[#flat + 3] = ids[i], score, name
  end
  return flat
end

local function advance(minimum)
  local next = math.max(tonumber(redis.call('GET', revision) or '0') + 1, minimum, now())
  redis.call('SET', revision, digits(next))
  return digits(next)
end

-- What the board looks like, to compare it before and after.
local function picture()
  local rows = top()
  return rows and table.concat(rows, '\0')
end

-- The new revision when the board differs from `before`, else ''.
local function changed(before)
  return before and picture() ~= before and advance(0) or ''
end

local function member(id, reached_at)
  return string.format('%015.0f', 999999999999999 - tonumber(reached_at)) .. '#' .. id
end

local operations = {}

-- merge id version score reachedAt visible name [...]: the newer version of each player wins.
-- Returns {how many were newer, revision or '' when the board did not change}.
function operations.merge()
  local before = picture()
  local newer = 0
  for i = 3, #ARGV, 6 do
    local id, version, score, reached_at, visible, name = unpack(ARGV, i, i + 5)
    local record = redis.call('HGET', players, id)
    local old_version, _, old_reached_at = parse(record or '0|0|0|0|')
    if tonumber(version) > tonumber(old_version) then
      newer = newer + 1
      if record then redis.call('ZREM', ranking, member(id, old_reached_at)) end
      if visible == '1' then redis.call('ZADD', ranking, score, member(id, reached_at)) end
      redis.call('HSET', players, id, table.concat({version, score, reached_at, visible, name}, '|'))
    end
  end
  return {newer, changed(before)}
end

-- drop id version [...]: forget players who are not in the table, unless a newer version has come in.
-- Returns {how many, revision or ''}.
function operations.drop()
  local before = picture()
  local dropped = 0
  for i = 3, #ARGV, 2 do
    local record = redis.call('HGET', players, ARGV[i])
    if record then
      local version, _, reached_at = parse(record)
      if version == ARGV[i + 1] then
        redis.call('ZREM', ranking, member(ARGV[i], reached_at))
        redis.call('HDEL', players, ARGV[i])
        dropped = dropped + 1
      end
    end
  end
  return {dropped, changed(before)}
end

-- board: {ready, revision, time (us), id, score, name, ...}
function operations.board()
  local rows = top()
  local reply = {rows and 1 or 0, redis.call('GET', revision) or '0', digits(now())}
  for _, field in ipairs(rows or {}) do reply[#reply + 1] = field end
  return reply
end

-- Rate limits (GCRA): each has a key that says when its burst will be whole again, and the arguments
-- interval (us in which a request is earned) and burst. All are charged, or none when one refuses.
-- Appends {us to wait, requests left, us until whole} for each to the reply; returns whether all granted.
local function charge(reply, first)
  local moment, granted, charged = now(), true, {}
  for i = 8, #KEYS do
    local interval = tonumber(ARGV[first + 2 * (i - 8)])
    local most = interval * tonumber(ARGV[first + 2 * (i - 8) + 1])
    -- Never more than a burst, also when a failover has set the clock back.
    local used = math.min(most, math.max(0, tonumber(redis.call('GET', KEYS[i]) or '0') - moment))
    local wait = math.max(0, used + interval - most)
    if wait > 0 then
      granted = false
      reply[#reply + 1] = {wait, 0, used}
    else
      charged[i] = used + interval
      reply[#reply + 1] = {0, math.floor((most - charged[i]) / interval), charged[i]}
    end
  end
  if granted then
    for i, used in pairs(charged) do
      redis.call('SET', KEYS[i], digits(moment + used), 'PX', digits(math.ceil(used / 1000)))
    end
  end
  return granted
end

-- guess id [interval burst ...]: what an update begins with, unless a rate limit refuses it.
-- Returns {record or '', floor in force, for each limit {us to wait, requests left, us until whole}}.
function operations.guess()
  local reply = {'', '0'}
  if not charge(reply, 4) then return reply end
  local score, written = string.match(redis.call('GET', floor) or '', '^(%d+)|(%d+)$')
  if score and now() - tonumber(written) <= FLOOR_TTL_US then reply[2] = score end
  reply[1] = redis.call('HGET', players, ARGV[3]) or ''
  return reply
end

-- floor score: put a floor in force, for ten seconds.
function operations.floor()
  redis.call('SET', floor, ARGV[3] .. '|' .. digits(now()))
  return 1
end

-- floor_age: how long ago (us) the floor was written, '' when there is none.
function operations.floor_age()
  local written = string.match(redis.call('GET', floor) or '', '|(%d+)$')
  return written and digits(now() - tonumber(written)) or ''
end

-- raise minimum: a revision above `minimum`, for a viewer that has already seen that one.
function operations.raise()
  return advance(tonumber(ARGV[3]) + 1)
end

-- epoch name: the name of this life of the data; `name` if it has none yet.
function operations.epoch()
  redis.call('SET', epoch, ARGV[3], 'NX')
  return redis.call('GET', epoch)
end

-- mark epoch full: who has merged the table since `epoch` was named declares the ranking ready ('1': and
-- complete). Returns the revision, or '' when the data were lost meanwhile.
function operations.mark()
  if redis.call('GET', epoch) ~= ARGV[3] then return '' end
  redis.call('SET', ready, '1')
  if ARGV[4] == '1' then redis.call('SET', full, '1') end
  return advance(0)
end

-- keep token ms: let a lock last so long from now on, also one that has ended; not one of another holder.
function operations.keep()
  local held = redis.call('GET', KEYS[8])
  if held and held ~= ARGV[3] then return 0 end
  redis.call('SET', KEYS[8], ARGV[3], 'PX', ARGV[4])
  return 1
end

-- unlock token: delete the lock of this holder. Returns whether it was there.
function operations.unlock()
  return redis.call('GET', KEYS[8]) == ARGV[3] and redis.call('DEL', KEYS[8]) or 0
end

return operations[ARGV[1]]()
