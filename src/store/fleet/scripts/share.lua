-- Shares of limits: `SharedLimit::ask` of domain/fleet/share.rs, for each limit in turn.
-- KEYS: for each limit a hash (`t`: totals, `n:PROCESS`: its claim) and a sorted set (when claims end).
-- ARGV: the process, hold, rest, settling (ms), first part, most dropped, recount; then for each limit:
--   seq, limit, has, used, demand, least, ttl, span, keep (the last three in ms).
-- Answers two numbers for each limit: the share and how many have one; -1 twice for a question that came late.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local process = ARGV[1]
local HOLD, REST, SETTLING = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local FIRST, DROPPED, RECOUNT = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])

local function numbers(text)
  local all = {}
  for word in string.gmatch(text, '%S+') do all[#all + 1] = tonumber(word) end
  return all
end

local function written(all)
  for at = 1, #all do all[at] = string.format('%.0f', all[at]) end
  return table.concat(all, ' ')
end

-- A claim: seq, demand, held, used, until, used_until, since (-1: not), rests, silent (0 or 1).
local function claim_of(hash, name)
  local text = redis.call('HGET', hash, 'n:' .. name)
  local all = text and numbers(text)
  if all and #all == 9 then return all end
  return nil
end

local function fair_share(limit, demand, all, nodes)
  if nodes <= 1 and demand == 0 then return limit - math.floor(limit / 2) end
  if nodes <= 1 then return limit end
  if demand == 0 then return math.floor(limit / (nodes * 16)) end
  local floor = math.floor(limit / (nodes * 4))
  local rest = limit - math.min(floor * nodes, limit)
  return floor + math.floor(rest * demand / math.max(all, demand))
end

local answers = {}
for place = 1, #KEYS / 2 do
  local hash, ends = KEYS[2 * place - 1], KEYS[2 * place]
  local at = 8 + (place - 1) * 9
  local seq, limit, has = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local used, demand, least = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5])
  local ttl, span = tonumber(ARGV[at + 6]), tonumber(ARGV[at + 7])
  -- born (-1: not yet), nodes, demand, held, asked, wanted (-1: not)
  local text = redis.call('HGET', hash, 't')
  local t = text and numbers(text)
  if not t or #t ~= 6 then t = {-1, 0, 0, 0, 0, -1} end
  t[5] = t[5] + 1
  -- What has ended.
  for _, name in ipairs(redis.call('ZRANGE', ends, '-inf', now, 'BYSCORE', 'LIMIT', 0, DROPPED)) do
    local it = claim_of(hash, name)
    if it then
      t[3] = t[3] - it[2]
      t[4] = t[4] - it[3]
      if it[9] == 0 then t[2] = t[2] - 1 end
      if it[6] <= now or it[4] == 0 then
        redis.call('HDEL', hash, 'n:' .. name)
        redis.call('ZREM', ends, name)
      else
        t[4] = t[4] + it[4]
        redis.call('ZADD', ends, it[6], name)
        redis.call('HSET', hash, 'n:' .. name, written({it[1], 0, it[4], it[4], it[6], it[6], it[7], it[8], 1}))
      end
    else
      redis.call('ZREM', ends, name)
    end
  end
  if t[5] % RECOUNT == 0 then
    t[2], t[3], t[4] = 0, 0, 0
    local all = redis.call('HGETALL', hash)
    for field = 1, #all, 2 do
      local it = string.sub(all[field], 1, 2) == 'n:' and numbers(all[field + 1])
      if it and #it == 9 then
        t[3], t[4] = t[3] + it[2], t[4] + it[3]
        if it[9] == 0 then t[2] = t[2] + 1 end
      end
    end
  end
  local own = claim_of(hash, process)
  local known = own and own[9] == 0
  own = own or {0, 0, 0, 0, 0, 0, -1, 0, 0}
  if seq <= own[1] then
    answers[#answers + 1] = -1
    answers[#answers + 1] = -1
    redis.call('HSET', hash, 't', written(t))
  else
    if t[1] < 0 then t[1] = now end
    local nodes = known and t[2] or t[2] + 1
    local all = t[3] - own[2] + demand
    local others = t[4] - own[3]
    local room = math.max(limit - others, 0)
    local since, rests = own[7], own[8]
    local fair = fair_share(limit, demand, all, nodes)
    if fair < least and demand > 0 then
      local is_wanted = t[6] >= 0 and now < t[6] + REST
      local holds = has >= least and since >= 0
      local may = now >= rests or not is_wanted
      if holds and is_wanted and now >= since + HOLD then
        since, rests, fair = -1, now + REST, 0
      elseif holds then
        fair = least
      elseif may and room >= least then
        since, fair = now, least
      else
        since, fair = -1, 0
        if may then t[6] = now end
      end
    else
      since = -1
    end
    if now < t[1] + SETTLING then
      fair = math.min(fair, math.max(has, math.floor(limit / FIRST), 1))
    end
    local share = fair
    if has < fair then share = math.min(fair, math.max(room, has)) end
    local held = math.max(share, has, used)
    local gone = now + ttl
    t[2], t[3], t[4] = nodes, all, others + held
    redis.call('ZADD', ends, gone, process)
    redis.call('HSET', hash, 'n:' .. process,
      written({seq, demand, held, used, gone, now + math.max(ttl, span), since, rests, 0}), 't', written(t))
    answers[#answers + 1] = share
    answers[#answers + 1] = nodes
  end
  redis.call('PEXPIRE', hash, ARGV[at + 8])
  redis.call('PEXPIRE', ends, ARGV[at + 8])
end
return answers
