"""What Redis does in one step each, in Lua. Times are of the server's clock, in seconds.

lease    hash    member, token, since, until, job: who has the turn; none: nobody
queue    zset    member -> ticket: who waits, in the order of arrival
beats    zset    member -> when it was last heard of
since    hash    member -> since when it waits
names    hash    member -> its name
calls    hash    member -> "COUNT WHEN": its calls of the last minute
meta     hash    born: when the server knew nothing of this account; ticket, token: the last ones given;
                 and of each kind of call allowed, grown, objected, spread; opens; number
left:*   zset    of each kind of call: when each of the last minute's left
"""

from __future__ import annotations

KEYS = ("lease", "queue", "beats", "since", "names", "calls", "meta")

_COMMON = """
local lease, queue, beats, since, names, calls, meta = unpack(KEYS)
local t = redis.call('TIME')
local now = tonumber(t[1]) + tonumber(t[2]) / 1000000
local KEPT_MS = 30 * 24 * 3600 * 1000
local function keep()
  for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, KEPT_MS) end
end
local function stamp(s) return string.format('%.6f', s) end
local function known(member, name, count)
  redis.call('HSET', names, member, name)
  redis.call('HSET', calls, member, count .. ' ' .. stamp(now))
end
local function born()
  local b = redis.call('HGET', meta, 'born')
  if not b then b = stamp(now); redis.call('HSET', meta, 'born', b) end
  return tonumber(b)
end
local function dequeue(member)
  redis.call('ZREM', queue, member)
  redis.call('ZREM', beats, member)
  redis.call('HDEL', since, member)
end
"""

ENTER = (
    _COMMON
    + """
local member, name, lease_s, waits_s, count = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
known(member, name, count)
local from = born()
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', beats, '-inf', now - waits_s)) do
  if gone ~= member then dequeue(gone) end
end
local holder = redis.call('HGET', lease, 'member')
local until_s = tonumber(redis.call('HGET', lease, 'until') or '0')
if holder == member and until_s > now then
  dequeue(member)
  redis.call('HSET', lease, 'until', stamp(now + lease_s))
  keep()
  return {1, redis.call('HGET', lease, 'token'), ''}
end
if not redis.call('ZSCORE', queue, member) then
  redis.call('ZADD', queue, redis.call('HINCRBY', meta, 'ticket', 1), member)
  redis.call('HSET', since, member, stamp(now))
end
redis.call('ZADD', beats, stamp(now), member)
keep()
local before = redis.call('ZRANK', queue, member)
if until_s > now then
  return {0, before, redis.call('HGET', names, holder) or ''}
end
if before > 0 or now < from + lease_s then
  return {0, before, ''}
end
local job = ''
if holder and holder ~= member then job = redis.call('HGET', lease, 'job') or '' end
local token = math.max(tonumber(redis.call('HGET', meta, 'token') or '0') + 1, math.floor(now * 1000))
token = string.format('%.0f', token)
dequeue(member)
redis.call('DEL', lease)
redis.call('HSET', lease, 'member', member, 'token', token, 'job', job,
           'since', stamp(now), 'until', stamp(now + lease_s))
redis.call('HSET', meta, 'token', token)
keep()
return {1, token, job}
"""
)

RENEW = (
    _COMMON
    + """
local member, name, lease_s, count = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local token, job, is_live = ARGV[5], ARGV[6], tonumber(ARGV[7])
known(member, name, count)
born()
if redis.call('HGET', lease, 'token') ~= token then
  -- Somebody else has had it since, unless this server has forgotten it: then it gave no later one.
  local last = redis.call('HGET', meta, 'token')
  if is_live ~= 1 or last and tonumber(last) >= tonumber(token) then return 0 end
  redis.call('HSET', lease, 'member', member, 'token', token, 'since', stamp(now))
  redis.call('HSET', meta, 'token', token)
end
redis.call('HSET', lease, 'until', stamp(now + lease_s), 'job', job)
keep()
return 1
"""
)

LEAVE = (
    _COMMON
    + """
local member, name, count, token = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
known(member, name, count)
dequeue(member)
if redis.call('HGET', lease, 'token') == token then redis.call('DEL', lease) end
keep()
return 1
"""
)

REPORT = (
    _COMMON
    + """
known(ARGV[1], ARGV[2], ARGV[3])
keep()
return 1
"""
)

LOOK = (
    _COMMON
    + """
local holder, held_s = '', '0'
local member = redis.call('HGET', lease, 'member')
if member and tonumber(redis.call('HGET', lease, 'until')) > now then
  holder = redis.call('HGET', names, member) or member
  held_s = stamp(now - tonumber(redis.call('HGET', lease, 'since')))
end
local waiting = {}
for _, each in ipairs(redis.call('ZRANGE', queue, 0, -1)) do
  table.insert(waiting, redis.call('HGET', names, each) or each)
  table.insert(waiting, stamp(now - tonumber(redis.call('HGET', since, each) or now)))
end
local counts = {}
local told = redis.call('HGETALL', calls)
for i = 1, #told, 2 do
  local count, at = string.match(told[i + 1], '^(%d+) ([%d.]+)$')
  if at and now - tonumber(at) < 60 then
    table.insert(counts, redis.call('HGET', names, told[i]) or told[i])
    table.insert(counts, count)
  elseif redis.call('ZSCORE', queue, told[i]) == false and told[i] ~= member then
    redis.call('HDEL', calls, told[i])
    redis.call('HDEL', names, told[i])
  end
end
return {holder, held_s, waiting, counts}
"""
)

# The same rule as mountfs.model.allowance, which tests/unit/fleet compares it with.
_WINDOWS = """
local meta = KEYS[1]
local t = redis.call('TIME')
local now = tonumber(t[1]) + tonumber(t[2]) / 1000000
local KEPT_MS = 7 * 24 * 3600 * 1000
local function stamp(s) return string.format('%.6f', s) end
local function number(field, default) return tonumber(redis.call('HGET', meta, field) or default) end
-- What lies far ahead was noted before the server's clock was set back.
local far = now + 600
local function near(field)
  local at = number(field, '0')
  if at > far then return now end
  return at
end
local function is_within(field, kept_s)
  local since_s = now - number(field, '-1e9')
  return since_s >= 0 and since_s < kept_s
end
"""

TAKE = (
    _WINDOWS
    + """
local minute_s, growth, grows_every_s = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local objection_kept_s, ahead_s = tonumber(ARGV[4]), tonumber(ARGV[5])
local leaves = math.max(now, near('opens'))
local kinds = {}
for i = 2, #KEYS do
  local at = 6 + (i - 2) * 4
  local name, per_minute = ARGV[at], tonumber(ARGV[at + 1])
  local at_once, most = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local last = redis.call('ZRANGE', KEYS[i], -1, -1, 'WITHSCORES')[2]
  if last and tonumber(last) > far then redis.call('DEL', KEYS[i]) end
  redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', stamp(now - minute_s))
  local used = redis.call('ZCARD', KEYS[i])
  local allowed = math.min(most, math.max(per_minute, number(name .. ':allowed', '0')))
  local may_grow = most > per_minute and not is_within(name .. ':objected', objection_kept_s)
  if used >= allowed and allowed < most and may_grow
     and not is_within(name .. ':grown', grows_every_s) then
    local more = math.ceil(allowed * growth)
    if allowed == per_minute then more = allowed + 1 end
    allowed = math.min(most, more)
    redis.call('HSET', meta, name .. ':grown', stamp(now))
  end
  redis.call('HSET', meta, name .. ':allowed', allowed)
  if may_grow then at_once = allowed end
  if used >= allowed then
    local first = redis.call('ZRANGE', KEYS[i], used - allowed, used - allowed, 'WITHSCORES')
    leaves = math.max(leaves, tonumber(first[2]) + minute_s)
  elseif used >= at_once then
    leaves = math.max(leaves, near(name .. ':spread'))
  end
  table.insert(kinds, {i, name, allowed, at_once, used + 1})
end
redis.call('PEXPIRE', meta, KEPT_MS)
if leaves - now > ahead_s then return stamp(leaves - now) end
local serial = redis.call('HINCRBY', meta, 'number', 1)
for _, kind in ipairs(kinds) do
  local i, name, allowed, at_once, used = unpack(kind)
  redis.call('ZADD', KEYS[i], stamp(leaves), serial)
  if used >= at_once and used < allowed then
    local first = redis.call('ZRANGE', KEYS[i], 0, 0, 'WITHSCORES')
    local free_in = math.max(0, tonumber(first[2]) + minute_s - leaves)
    redis.call('HSET', meta, name .. ':spread', stamp(leaves + free_in / (allowed - used)))
  end
  redis.call('PEXPIRE', KEYS[i], 600000)
end
return stamp(leaves - now)
"""
)

REFUSED = (
    _WINDOWS
    + """
local retry_after_s = tonumber(ARGV[1])
redis.call('HSET', meta, 'opens', stamp(math.max(near('opens'), now + retry_after_s)))
for i = 2, #ARGV, 2 do
  redis.call('HSET', meta, ARGV[i] .. ':objected', stamp(now), ARGV[i] .. ':allowed', ARGV[i + 1])
end
redis.call('PEXPIRE', meta, KEPT_MS)
return 1
"""
)
