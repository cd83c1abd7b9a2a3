-- Shares of limits: `SharedLimit::ask` of domain/fleet/share.rs, for each limit in turn.
-- KEYS: for each owner of limits a hash. Its fields are, for each kind of limit, `t:KIND` (totals) and `n:KIND:PROCESS` (a claim),
-- all of doubles, which cost a fraction of what text costs; all limits of an owner are read and written together.
-- ARGV: the process, hold, rest, settling (ms), first part, keep (ms); then for each owner its questions, one after the other.
-- Answers two numbers for each limit: the share and how many have one; -1 twice for a question that came late.
local call, pack, read, floor, max, min = redis.call, struct.pack, struct.unpack, math.floor, math.max, math.min
local sub, unpack = string.sub, unpack
local time = redis.call('TIME')
local now = time[1] * 1000 + floor(time[2] / 1000)
local process = ARGV[1]
local HOLD, REST, SETTLING = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local FIRST, KEEP = tonumber(ARGV[5]), ARGV[6]
-- kind, seq, limit, has, used, demand, least, ttl, span (the last two in ms).
local QUESTION, QUESTION_LENGTH = '<ddddddddd', 72
-- born (-1: not yet), nodes, demand, held, wanted (-1: not), when the first claim ends.
local TOTALS, TOTALS_LENGTH = '<dddddd', 48
-- seq, demand, held, used, until, used_until, since (-1: not), rests, silent (0 or 1).
local CLAIM, CLAIM_LENGTH = '<ddddddddd', 72
-- The names of fields, by the number of a kind.
local TOTALS_OF, CLAIM_OF = {}, {}
for kind = 0, 3 do
  TOTALS_OF[kind], CLAIM_OF[kind] = 't:' .. kind, 'n:' .. kind .. ':' .. process
end

local function fair_share(limit, demand, all, nodes)
  if nodes <= 1 and demand == 0 then return limit - floor(limit / 2) end
  if nodes <= 1 then return limit end
  if demand == 0 then return floor(limit / (nodes * 16)) end
  local least = floor(limit / (nodes * 4))
  local rest = limit - min(least * nodes, limit)
  return least + floor(rest * demand / max(all, demand))
end

-- Of the claims of one kind drops those that have ended, and counts the others. Answers the totals, and this process's claim.
local function counted(hash, fields, mine)
  local prefix = sub(mine, 1, 4)
  local nodes, demand, held, first, own = 0, 0, 0, math.huge, nil
  for at = 1, #fields, 2 do
    local name, text = fields[at], fields[at + 1]
    if sub(name, 1, 4) == prefix and #text == CLAIM_LENGTH then
      local seq, wants, holds, used, ends, used_ends, since, rests, silent = read(CLAIM, text)
      if ends <= now and (used_ends <= now or used == 0) then
        call('HDEL', hash, name)
        text = nil
      elseif ends <= now then
        wants, holds, ends, silent = 0, used, used_ends, 1
        text = pack(CLAIM, seq, wants, holds, used, ends, used_ends, since, rests, silent)
        call('HSET', hash, name, text)
      end
      if text then
        demand, held, first = demand + wants, held + holds, min(first, ends)
        if silent == 0 then nodes = nodes + 1 end
        if name == mine then own = text end
      end
    end
  end
  return nodes, demand, held, first, own
end

local answers = {}
for place = 1, #KEYS do
  local hash, questions = KEYS[place], ARGV[6 + place]
  local names = {}
  for at = 1, #questions, QUESTION_LENGTH do
    local kind = read('<d', questions, at)
    names[#names + 1] = TOTALS_OF[kind]
    names[#names + 1] = CLAIM_OF[kind]
  end
  local known, written, fields = call('HMGET', hash, unpack(names)), {}, nil
  for at = 1, #names, 2 do
    local _, seq, limit, has, used, demand, least, ttl, span =
      read(QUESTION, questions, (at - 1) / 2 * QUESTION_LENGTH + 1)
    local totals, own = known[at], known[at + 1]
    local born, nodes, all, held, wanted, first = -1, 0, 0, 0, -1, 0
    if totals and #totals == TOTALS_LENGTH then born, nodes, all, held, wanted, first = read(TOTALS, totals) end
    local is_counted = now >= first
    if is_counted then
      -- Only claims are dropped meanwhile, and each is of one kind.
      fields = fields or call('HGETALL', hash)
      nodes, all, held, first, own = counted(hash, fields, names[at + 1])
    end
    local last, wants, holds, since, rests, silent = 0, 0, 0, -1, 0, 1
    if own and #own == CLAIM_LENGTH then
      last, wants, holds, _, _, _, since, rests, silent = read(CLAIM, own)
    end
    local share, shown = -1, -1
    if seq > last then
      if born < 0 then born = now end
      nodes, all, held = nodes + silent, all - wants + demand, held - holds
      local room = max(limit - held, 0)
      local fair = fair_share(limit, demand, all, nodes)
      if fair < least and demand > 0 then
        local is_wanted = wanted >= 0 and now < wanted + REST
        local has_it = has >= least and since >= 0
        local may = now >= rests or not is_wanted
        if has_it and is_wanted and now >= since + HOLD then
          since, rests, fair = -1, now + REST, 0
        elseif has_it then
          fair = least
        elseif may and room >= least then
          since, fair = now, least
        else
          since, fair = -1, 0
          if may then wanted = now end
        end
      else
        since = -1
      end
      if now < born + SETTLING then fair = min(fair, max(has, floor(limit / FIRST), 1)) end
      share, shown = fair, nodes
      if has < fair then share = min(fair, max(room, has)) end
      holds = max(share, has, used)
      held, first = held + holds, min(first, now + ttl)
      written[#written + 1] = names[at + 1]
      written[#written + 1] = pack(CLAIM, seq, demand, holds, used, now + ttl, now + max(ttl, span), since, rests, 0)
    end
    if seq > last or is_counted then
      written[#written + 1] = names[at]
      written[#written + 1] = pack(TOTALS, born, nodes, all, held, wanted, first)
    end
    answers[#answers + 1] = share
    answers[#answers + 1] = shown
  end
  if #written > 0 then call('HSET', hash, unpack(written)) end
  -- Claims are counted once in the time of the shortest at least.
  if fields then call('PEXPIRE', hash, KEEP) end
end
return answers
